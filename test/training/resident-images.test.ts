/** Images that lie on the device: the bytes of a batch are those that the loader makes, to the bit. */
import { beforeAll, describe, expect, it } from "vitest";
import { Loader } from "../../src/data/loader.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { moves, stay } from "../../src/data/transforms.ts";
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray } from "../../src/tensor/tensor.ts";
import { ResidentImages } from "../../src/training/resident-images.ts";
import { bytesIn } from "../../src/utils/pixel-array.ts";
import { Random } from "../../src/utils/random.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

const length = 60;

function noise(imageSize: number, augmented = true): MemoryDataset {
  const random = new Random(1, "noise");
  return new MemoryDataset({
    name: "noise",
    classes: ["a", "b"],
    imageSize,
    labels: Int32Array.from({ length }, (_, n) => n % 2),
    images: Uint8Array.from({ length: length * imageSize ** 2 * 3 }, () => random.integer(256)),
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    augmented,
  });
}

const int64 = (values: ArrayLike<number> | BigInt64Array) =>
  fromArray(values instanceof BigInt64Array ? values : BigInt64Array.from(values, BigInt), [values.length]);

describe("resident images", () => {
  // 3 pixels are narrower than the padding of 4: some moves leave nothing of the image.
  it.each([
    [32, { augment: true }, true],
    [3, { augment: true }, true],
    [8, { augment: false }, true],
    [8, { augment: true }, false],
  ])("of %i pixels with %o (augmented: %s) are the loader's, over two epochs", async (size, options, augmented) => {
    const before = liveHandles();
    const dataset = noise(size, augmented);
    const resident = new ResidentImages(dataset, dataset.inMemory.images, moves, "cpu");
    const loader = new Loader(dataset, { batchSize: 16, shuffle: true, seed: 7, ...options });
    for (const epoch of [0, 1]) {
      const plans = loader.plans(epoch);
      for await (const { images, indices } of loader.batches(epoch)) {
        const plan = plans.next().value!;
        expect(plan.indices).toEqual(indices);
        const made = scope(() => {
          const drawn = dataset.inMemory.moves(indices.length, plan.augmentation);
          return resident.batch(int64(plan.indices), int64(drawn)).toUint8();
        });
        expect(Buffer.compare(made, bytesIn(images))).toBe(0);
      }
      expect(plans.next().done).toBe(true);
    }
    resident.free();
    expect(liveHandles()).toBe(before);
  });

  it.each(["bytes", "values"])("of pairs of %s are the loader's: both pictures are moved alike", async (kind) => {
    const [imageSize, count] = [8, 20];
    const random = new Random(1, "pairs");
    const numbers = { length: count * imageSize ** 2 * 4 };
    const dataset = new MemoryDataset({
      name: "pairs",
      classes: ["a", "b"],
      imageSize,
      labels: Int32Array.from({ length: count }, (_, n) => n % 2),
      images:
        kind === "bytes"
          ? Uint8Array.from(numbers, () => random.integer(256))
          : Float32Array.from(numbers, () => random.integer(1000)),
      bands: ["vv", "vh"],
      normalization: { mean: [0.1, 0.2], std: [0.5, 0.5] },
      low: { mean: [0.3, 0.4], std: [0.5, 0.5] },
    });
    const resident = new ResidentImages(dataset, dataset.inMemory.images, moves, "cpu");
    const loader = new Loader(dataset, { batchSize: count, seed: 7, augment: true });
    for await (const { images, indices } of loader.batches(0)) {
      const { augmentation } = loader.plans(0).next().value!;
      const drawn = dataset.inMemory.moves(indices.length, augmentation);
      const made = scope(() => {
        const batch = resident.batch(int64(indices), int64(drawn));
        return kind === "bytes" ? batch.toUint8() : batch.toFloat32();
      });
      expect(made).toEqual(images.slice());
    }
    resident.free();
  });

  it("move as a hand would", () => {
    const pixel = (value: number) => [value, value, value];
    const image = Uint8Array.from([1, 2, 3, 4].flatMap(pixel)); // 1 2 / 3 4
    const resident = new ResidentImages({ ...noise(2), imageSize: 2 }, image, moves, "cpu");
    const moved = (down: number, right: number, flip: boolean) => {
      const number = moves.findIndex((m) => m.down === down && m.right === right && m.flip === flip);
      const bytes = scope(() => resident.batch(int64([0]), int64([number])).toUint8());
      return [0, 1, 2, 3].map((at) => bytes[3 * at]);
    };
    expect(moved(0, 0, false)).toEqual([1, 2, 3, 4]);
    expect(moves[stay]).toEqual({ down: 0, right: 0, flip: false });
    expect(moved(0, 0, true)).toEqual([2, 1, 4, 3]);
    expect(moved(1, 0, false)).toEqual([3, 4, 0, 0]); // the view moves down, so the image moves up
    expect(moved(0, 1, false)).toEqual([2, 0, 4, 0]);
    expect(moved(0, 1, true)).toEqual([0, 2, 0, 4]);
    expect(moved(-1, -1, false)).toEqual([0, 0, 0, 1]);
    expect(moved(4, 4, true)).toEqual([0, 0, 0, 0]);
    resident.free();
  });

  it("are 162 moves, each another", () => {
    expect(moves).toHaveLength(162);
    expect(new Set(moves.map((move) => JSON.stringify(move))).size).toBe(162);
  });
});
