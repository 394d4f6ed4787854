import { setTimeout as delay } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { Loader, type LoaderOptions } from "../../src/data/loader.ts";
import { MemoryDataset } from "../../src/data/memory-dataset.ts";
import { moves } from "../../src/data/transforms.ts";
import { turnImages } from "../../src/data/turns.ts";
import { Random } from "../../src/utils/random.ts";

const length = 10;
const imageBytes = 2 * 2 * 3;

/** Ten images of 2 × 2 whose bytes are the image's number, labelled number % 3. */
function numbered(): MemoryDataset {
  return new MemoryDataset({
    name: "numbered",
    classes: ["a", "b", "c"],
    imageSize: 2,
    labels: Int32Array.from({ length }, (_, n) => n % 3),
    images: Uint8Array.from({ length: length * imageBytes }, (_, at) => Math.floor(at / imageBytes)),
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
}

interface Seen {
  images: number[];
  labels: number[];
  indices: number[];
}

async function collect(dataset: Dataset, options: LoaderOptions, epoch = 0, fromStep = 0): Promise<Seen[]> {
  const seen: Seen[] = [];
  for await (const { images, labels, indices } of new Loader(dataset, options).batches(epoch, fromStep)) {
    seen.push({ images: [...images], labels: [...labels], indices: [...indices] });
  }
  return seen;
}

describe("a program's data set", () => {
  it.each<[string, (indices: Uint32Array) => unknown, string]>([
    ["nothing", () => undefined, "undefined of undefined"],
    ["a list", (indices) => [...indices], "Array of 4"],
    ["too few", (indices) => indices.subarray(1), "Uint32Array of 3"],
    ["an image that there is not", (indices) => indices.map((index) => index + length - 3), "10"],
  ])("is not believed when it says that it has read %s", async (_, read, got) => {
    const dataset = { ...numbered(), read } as unknown as Dataset;
    const rule = "must return which images it has read: a Uint32Array of 4, each below 10";
    await expect(collect(dataset, { batchSize: 4 })).rejects.toMatchObject({
      kind: "usage",
      message: `data set numbered: read: ${rule}, got ${got}`,
    });
  });
});

describe("flips and turns", () => {
  // One image of 2 × 2 pixels, 1 2 3 4 by rows, eight times.
  const square = new MemoryDataset({
    name: "square",
    classes: ["a"],
    imageSize: 2,
    labels: new Int32Array(8),
    images: Uint8Array.from({ length: 8 * 12 }, (_, at) => 1 + (Math.floor(at / 3) % 4)),
    normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
  });
  const pixels = async (options: Partial<LoaderOptions>, fromStep = 0) => {
    const seen = await collect(square, { batchSize: 4, ...options }, 3, fromStep);
    return seen.flatMap(({ images }) => images.filter((_, at) => at % 3 === 0));
  };

  it("are those of turns.ts, by position in the epoch, behind what the data set does", async () => {
    const augmented = Uint8Array.from(await pixels({ augment: true }));
    turnImages(augmented, 2, 1, { seed: 0, epoch: 3, firstPosition: 0 });
    expect(await pixels({ augment: true, turns: true })).toEqual([...augmented]);
    expect(await pixels({ augment: true, turns: true }, 1)).toEqual([...augmented.subarray(16)]);
  });

  it("are not for tests", async () => {
    expect(await pixels({ turns: true })).toEqual(await pixels({}));
  });
});

describe("alternating flips", () => {
  /** 40 images of 2 × 2 pixels: 1 on the left, 2 on the right. */
  const sided = () =>
    new MemoryDataset({
      name: "sided",
      classes: ["a", "b"],
      imageSize: 2,
      labels: new Int32Array(40).map((_, n) => n % 2),
      images: Uint8Array.from({ length: 40 * imageBytes }, (_, at) => 1 + (Math.floor(at / 3) % 2)),
      normalization: { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    });

  /** Whether each image was mirrored, by its number. */
  async function mirrored(epoch: number, options: Partial<LoaderOptions> = {}): Promise<boolean[]> {
    const all = { batchSize: 7, shuffle: true, augment: true, padding: 0, flips: "alternating", seed: 3 } as const;
    const seen = await collect(sided(), { ...all, ...options }, epoch);
    const left = new Map(seen.flatMap(({ images, indices }) => indices.map((n, i) => [n, images[i * imageBytes]])));
    return Array.from({ length: 40 }, (_, n) => left.get(n) === 2);
  }

  it("mirror every image in every other epoch, about half of them in each", async () => {
    const [first, second, third] = [await mirrored(0), await mirrored(1), await mirrored(2)];
    expect(second).toEqual(first.map((is) => !is));
    expect(third).toEqual(first);
    const share = first.filter(Boolean).length / 40;
    expect(share).toBeGreaterThan(0.25);
    expect(share).toBeLessThan(0.75);
  });

  it("are those of the seed, and not of the order; drawn ones differ from epoch to epoch", async () => {
    expect(await mirrored(0, { shuffle: false, batchSize: 40 })).toEqual(await mirrored(0));
    expect(await mirrored(0, { seed: 4 })).not.toEqual(await mirrored(0));
    const drawn = await mirrored(1, { flips: "random" });
    expect(drawn).not.toEqual((await mirrored(0, { flips: "random" })).map((is) => !is));
  });

  it("are planned for a device that holds the images, too, as the loader makes them", async () => {
    const dataset = sided();
    const loader = new Loader(dataset, { batchSize: 40, augment: true, padding: 0, flips: "alternating", seed: 3 });
    const [{ indices, augmentation }] = loader.plans(1);
    const numbers = dataset.inMemory.moves(indices.length, augmentation);
    expect(Array.from(numbers, (number) => moves[Number(number)].flip)).toEqual(await mirrored(1));
    expect(Array.from(numbers, (number) => moves[Number(number)])).toContainEqual({ down: 0, right: 0, flip: true });
  });

  it("shift by at most the padding", async () => {
    const dataset = sided();
    const loader = new Loader(dataset, { batchSize: 40, augment: true, padding: 1, seed: 3 });
    const [{ augmentation }] = loader.plans(0);
    const found = Array.from(dataset.inMemory.moves(40, augmentation), (number) => moves[Number(number)]);
    for (const part of ["down", "right"] as const) {
      expect(new Set(found.map((move) => move[part]))).toEqual(new Set([-1, 0, 1]));
    }
  });
});

describe("Loader", () => {
  it("yields the images in order, with their labels, the last batch smaller", async () => {
    const seen = await collect(numbered(), { batchSize: 4 });
    expect(seen.map(({ indices }) => indices)).toEqual([
      [0, 1, 2, 3],
      [4, 5, 6, 7],
      [8, 9],
    ]);
    expect(seen[2].labels).toEqual([2, 0]);
    expect(seen[2].images).toEqual([...Array(imageBytes).fill(8), ...Array(imageBytes).fill(9)]);
  });

  it("yields only some images when asked to, in their order", async () => {
    const seen = await collect(numbered(), { batchSize: 2, images: Uint32Array.of(7, 2, 5) });
    expect(seen.map(({ indices, labels }) => [indices, labels])).toEqual([
      [
        [7, 2],
        [1, 2],
      ],
      [[5], [2]],
    ]);
    expect(seen[1].images).toEqual(Array(imageBytes).fill(5));
  });

  it("leaves the last batch out when asked to", async () => {
    expect((await collect(numbered(), { batchSize: 4, dropLast: true })).length).toBe(2);
    expect(new Loader(numbered(), { batchSize: 4, dropLast: true }).batchesPerEpoch).toBe(2);
    expect(new Loader(numbered(), { batchSize: 5 }).batchesPerEpoch).toBe(2);
  });

  it("shuffles by seed and epoch alone", async () => {
    const order = async (seed: number, epoch: number): Promise<number[]> =>
      (await collect(numbered(), { batchSize: 3, shuffle: true, seed }, epoch)).flatMap(({ indices }) => indices);
    const expected = new Random(5, "order", 2).shuffle(Uint32Array.from({ length }, (_, n) => n));
    expect(await order(5, 2)).toEqual([...expected]);
    expect(await order(5, 3)).not.toEqual([...expected]);
    expect(await order(6, 2)).not.toEqual([...expected]);
    expect([...(await order(5, 3))].sort()).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
  });

  it("keeps images and labels together when shuffled", async () => {
    for (const { images, labels, indices } of await collect(numbered(), { batchSize: 4, shuffle: true, seed: 1 })) {
      expect(labels).toEqual(indices.map((index) => index % 3));
      expect(images).toEqual(indices.flatMap((index) => Array(imageBytes).fill(index)));
    }
  });

  it("gives the rest of an epoch the same bits when it starts in the middle", async () => {
    const options = { batchSize: 3, shuffle: true, augment: true, seed: 9 };
    const whole = await collect(numbered(), options, 4);
    expect(await collect(numbered(), options, 4, 2)).toEqual(whole.slice(2));
    expect(await collect(numbered(), options, 4, 4)).toEqual([]);
  });

  it("augments anew each epoch", async () => {
    const images = async (epoch: number): Promise<number[]> =>
      (await collect(numbered(), { batchSize: 10, augment: true, seed: 9 }, epoch)).flatMap((batch) => batch.images);
    expect(await images(0)).toEqual(await images(0));
    expect(await images(0)).not.toEqual(await images(1));
  });

  it("reads two batches ahead while the caller works, and no further, in the memory of three", async () => {
    const reads: number[] = [];
    const memory = new Set<ArrayBufferLike>();
    const slow: Dataset = Object.create(numbered(), {
      read: {
        value: async (indices: Uint32Array, out: Uint8Array) => {
          reads.push(indices[0]);
          memory.add(out.buffer);
          await delay(5);
          out.fill(indices[0]);
          return indices;
        },
      },
    });
    const seen: number[] = [];
    for await (const { images } of new Loader(slow, { batchSize: 2 }).batches(0)) {
      const before = images[0];
      await delay(20);
      expect(images[0]).toBe(before); // reading ahead goes into other memory
      expect(reads.length).toBe(Math.min(seen.length + 3, 5));
      seen.push(before);
    }
    expect(seen).toEqual([0, 2, 4, 6, 8]);
    expect(memory.size).toBe(3);
  });

  it("goes by the images that were read, where one stands in for another", async () => {
    const replacing: Dataset = Object.create(numbered(), {
      read: { value: async (indices: Uint32Array) => indices.map((index) => (index === 4 ? 5 : index)) },
    });
    const [, second] = await collect(replacing, { batchSize: 3 });
    expect([second.indices, second.labels]).toEqual([
      [3, 5, 5],
      [0, 2, 2],
    ]);
  });

  it("throws what reading throws, at the batch it belongs to", async () => {
    const broken: Dataset = Object.create(numbered(), {
      read: {
        value: async (indices: Uint32Array) => {
          if (indices[0] === 4) throw new Error("disk on fire");
          return indices;
        },
      },
    });
    const seen: number[] = [];
    const run = async (): Promise<void> => {
      for await (const { indices } of new Loader(broken, { batchSize: 2 }).batches(0)) seen.push(indices[0]);
    };
    await expect(run()).rejects.toThrow("disk on fire");
    expect(seen).toEqual([0, 2]);
  });

  it.each([0, -1, 2.5, Number.NaN])("refuses a batch size of %s as a usage error", (batchSize) => {
    expect(() => new Loader(numbered(), { batchSize })).toThrow(
      expect.objectContaining({
        message: `batch size: must be an integer of at least 1, got ${batchSize}`,
        exitCode: 2,
      }),
    );
  });

  it("refuses to drop all there is", () => {
    expect(() => new Loader(numbered(), { batchSize: 11, dropLast: true })).toThrow(
      "batch size: must be at most the number of images of numbered, 10, got 11",
    );
  });

  it("refuses a step that an epoch does not have", async () => {
    await expect(collect(numbered(), { batchSize: 5 }, 0, 3)).rejects.toThrow("Loader: step must be in 0..2, got 3");
  });
});
