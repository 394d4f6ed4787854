import { beforeAll, describe, expect, it } from "vitest";
import { alone, type ProcessGroup } from "../../src/distributed/process-group.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { Sharding } from "../../src/training/sharding.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

const rankOf = (rank: number, size: number): ProcessGroup => ({ ...alone, rank, size });
const counts = (sharding: Sharding, images: number) => sharding.own(images).map(({ count }) => count);

describe("a batch", () => {
  it("is one shard of a process that is alone", () => {
    expect(new Sharding(alone, undefined, 8).own(8)).toEqual([{ first: 0, count: 8, isFirst: true }]);
  });

  it("that does not divide has shards of nearly the same size, and every image once", () => {
    expect(new Sharding(alone, 4, 11).own(11)).toEqual([
      { first: 0, count: 2, isFirst: true },
      { first: 2, count: 3, isFirst: false },
      { first: 5, count: 3, isFirst: false },
      { first: 8, count: 3, isFirst: false },
    ]);
  });

  it("is shared by ranks, which have consecutive shards each", () => {
    const shares = [0, 1].map((rank) => new Sharding(rankOf(rank, 2), 4, 11));
    expect(shares.map((one) => one.share(11))).toEqual([
      { first: 0, count: 5 },
      { first: 5, count: 6 },
    ]);
    expect(shares.map((one) => counts(one, 11))).toEqual([
      [2, 3],
      [3, 3],
    ]);
  });

  it("that is small has fewer shards, of two images or more: batch norm cannot train on one", () => {
    const ranks = [0, 1, 2, 3].map((rank) => new Sharding(rankOf(rank, 4), undefined, 64));
    expect(ranks.map((one) => counts(one, 5))).toEqual([[2], [3], [0], [0]]);
    expect(ranks.map((one) => counts(one, 2))).toEqual([[2], [0], [0], [0]]);
  });

  it.each([
    [
      3,
      4,
      64,
      "--shards: must be divided by the 3 ranks, which must be a power of two, got 4; start another number of ranks, or leave it out",
    ],
    [1, 8, 15, "--shards: must be at most 7, for 2 images each of a batch of 15, got 8; start fewer ranks"],
    [4, undefined, 7, "ranks: must be at most 3, for 2 images each of a batch of 7, got 4; start fewer ranks"],
  ])("of %i ranks with --shards %s at batch size %i is refused", (size, shards, batchSize, message) => {
    expect(() => new Sharding(rankOf(0, size), shards, batchSize)).toThrow(message);
  });
});

/** What a rank has after `addUp`, where each shard leaves `values[its first image]` and nothing but rounding differs by order. */
function added(sharding: Sharding, images: number, values: Readonly<Record<number, number>>): number {
  const sum = fromArray(Float32Array.of(99), [1]);
  sharding.addUp(images, [sum], ({ first }) => sum.upload(Float32Array.of(values[first])));
  return sum.item();
}

describe("gradients", () => {
  it("are added by the shards' shares of the batch", () => {
    // 2/11 · 11 + 3/11 · 22 + 3/11 · 33 + 3/11 · 44
    expect(added(new Sharding(alone, 4, 11), 11, { 0: 11, 2: 22, 5: 33, 8: 44 })).toBeCloseTo(29, 5);
  });

  it("are added in a tree, halves before the whole", () => {
    // In float32, 2^24 + 1 is 2^24: from left to right the sum would lose both ones, in a tree they are 2 first.
    const four = { 0: 4 * 2 ** 24, 2: 0, 4: 4, 6: 4 };
    expect(added(new Sharding(alone, 4, 8), 8, four)).toBe(2 ** 24 + 2);
  });

  it("are added in the same tree over ranks, where all gather what each has added up", () => {
    const gathering: ProcessGroup = {
      ...rankOf(1, 2),
      allGather: (own, all) => all.upload(Float32Array.of(2 ** 24, (own as Tensor).item())),
      allReduce: () => {
        throw new Error("the library's order");
      },
    };
    expect(added(new Sharding(gathering, 4, 8), 8, { 4: 4, 6: 4 })).toBe(2 ** 24 + 2);
  });

  it("of ranks without --shards are added by the library", () => {
    const reducing: ProcessGroup = {
      ...rankOf(1, 2),
      allReduce: (tensor) => tensor.upload(Float32Array.of(tensor.item() + 5)),
    };
    expect(added(new Sharding(reducing, undefined, 8), 8, { 4: 6 })).toBe(8);
    // A rank without images adds nothing.
    expect(added(new Sharding(reducing, undefined, 8), 2, {})).toBe(5);
  });
});
