import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import sharp from "sharp";
import { describe, expect, it, onTestFinished, vi } from "vitest";
import { cifar10Classes } from "../../src/data/cifar-classes.ts";
import {
  drawPlace,
  drawTexture,
  makePositiveControl,
  type PositiveControlOptions,
  paste,
} from "../../src/data/positive-control.ts";
import { Random } from "../../src/utils/random.ts";
import { temporaryFolder } from "../temporary-folder.ts";

describe("a place", () => {
  it("is each of the nine as often as the others", () => {
    const random = new Random(1, "places");
    const counts = new Map<string, number>();
    for (let n = 0; n < 9000; n++) {
      const { row, column } = drawPlace(random);
      counts.set(`${row},${column}`, (counts.get(`${row},${column}`) ?? 0) + 1);
    }
    const all = ["0,0", "0,1", "0,2", "1,0", "1,1", "1,2", "2,0", "2,1", "2,2"];
    expect([...counts.keys()].sort()).toEqual(all);
    // 1,000 each; the binomial's standard deviation is √(9000 · 1/9 · 8/9) = 29.8, and 150 is five of them.
    for (const count of counts.values()) expect(Math.abs(count - 1000)).toBeLessThan(150);
  });
});

describe("a texture", () => {
  it("deviates by 27 grey levels in the root mean square", () => {
    // Six waves of an amplitude uniform in ±27 (mean square 27² / 3) times a sine (1 / 2): 6 · 27² / 6 = 27².
    // Bytes end at 0 and 255, and the mean over 64 pixels takes a little of the longest waves: 2 below at most.
    let sum = 0;
    for (let n = 0; n < 300; n++) sum += meanSquare(drawTexture(new Random(1, "texture", n)));
    expect(Math.sqrt(sum / 300)).toBeGreaterThan(25);
    expect(Math.sqrt(sum / 300)).toBeLessThan(27.5);
  });

  it("is not flat in any patch", () => {
    for (let n = 0; n < 100; n++) expect(flatPatches(drawTexture(new Random(2, "texture", n)))).toEqual([]);
  });
});

/** Mean square of an image's channels around their means. */
function meanSquare(image: Uint8ClampedArray): number {
  const channels = [0, 1, 2].map((channel) => image.filter((_, at) => at % 3 === channel));
  const mean = (values: ArrayLike<number>) => Array.from(values).reduce((sum, value) => sum + value, 0) / values.length;
  return mean(channels.map((values) => mean(Array.from(values, (value) => value ** 2)) - mean(values) ** 2));
}

describe("paste", () => {
  it("fills four patches and touches no other pixel", () => {
    const scene = new Uint8ClampedArray(64 * 64 * 3);
    paste(new Uint8Array(32 * 32 * 3).fill(200), { row: 1, column: 2 }, scene);
    // Rows 1 and 2, columns 2 and 3, of four patches a row.
    expect(flatPatches(scene, 200)).toEqual([6, 7, 10, 11]);
    expect(flatPatches(scene, 0)).toEqual([0, 1, 2, 3, 4, 5, 8, 9, 12, 13, 14, 15]);
  });

  it("keeps the object's pixels in their order", () => {
    const scene = new Uint8ClampedArray(64 * 64 * 3);
    const object = new Uint8Array(32 * 32 * 3);
    object.set([1, 2, 3], 0); // its first pixel, its last of the first row, its last
    object.set([4, 5, 6], 3 * 31);
    object.set([7, 8, 9], 3 * (32 * 32 - 1));
    paste(object, { row: 2, column: 0 }, scene);
    const pixel = (x: number, y: number) => [...scene.subarray(3 * (64 * y + x), 3 * (64 * y + x) + 3)];
    expect([pixel(0, 32), pixel(31, 32), pixel(31, 63)]).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8, 9],
    ]);
  });
});

/** Which patches of a scene [64, 64, 3] are of one grey: the one given, or any. */
function flatPatches(scene: ArrayLike<number>, grey?: number): number[] {
  const isFlat = (patch: number): boolean => {
    const at = 3 * (64 * 16 * Math.floor(patch / 4) + 16 * (patch % 4));
    const sought = grey ?? scene[at];
    const pixels = Array.from({ length: 16 * 16 }, (_, i) => at + 3 * (64 * Math.floor(i / 16) + (i % 16)));
    return pixels.every((start) => [0, 1, 2].every((channel) => scene[start + channel] === sought));
  };
  return Array.from({ length: 16 }, (_, patch) => patch).filter(isFlat);
}

describe("the class folders", () => {
  it("hold as many scenes of each class, whose four patches are the class's next object", async () => {
    const { folder, options } = cifar();
    await makePositiveControl(options);
    const found = new Map<string, string[]>();
    const places: Record<string, number[]> = { train: [], test: [] };
    for (const split of ["train", "test"]) {
      expect(readdirSync(join(folder, "out", split)).sort()).toEqual(cifar10Classes);
      for (const [label, name] of cifar10Classes.entries()) {
        const files = readdirSync(join(folder, "out", split, name)).sort();
        for (const [nth, file] of files.entries()) {
          const { data, info } = await sharp(join(folder, "out", split, name, file))
            .raw()
            .toBuffer({
              resolveWithObject: true,
            });
          expect([info.width, info.height, info.channels]).toEqual([64, 64, 3]);
          const taken = flatPatches(data, greyOf(split, label, nth));
          expect(squares).toContainEqual(taken);
          expect(flatPatches(data)).toEqual(taken);
          places[split][label + 10 * nth] = taken[0];
        }
        found.set(`${split}/${name}`, files);
      }
    }
    // Each scene has a draw of its own: 30 of one stream, or both splits of one, would give these by chance once in 10⁸.
    expect(new Set(places.train).size).toBeGreaterThan(4);
    expect(places.train.slice(0, 10)).not.toEqual(places.test);
    // Scene n is of class n % 10.
    expect(found.get("train/airplane")).toEqual(["00000.png", "00010.png", "00020.png"]);
    expect(found.get("train/truck")).toEqual(["00009.png", "00019.png", "00029.png"]);
    expect(found.get("test/frog")).toEqual(["00006.png"]);
  });

  it("are the same for the same seed, others for another, and a larger set begins with a smaller one", async () => {
    const { folder, options } = cifar();
    await makePositiveControl(options);
    await makePositiveControl({ ...options, output: join(folder, "again") });
    await makePositiveControl({ ...options, output: join(folder, "smaller"), train: 10 });
    await makePositiveControl({ ...options, output: join(folder, "other"), seed: 2 });
    const [made, again, smaller, other] = ["out", "again", "smaller", "other"].map((name) => contents(folder, name));
    expect(again).toEqual(made);
    expect(smaller.size).toBe(20);
    for (const [name, bytes] of smaller) expect(bytes).toBe(made.get(name));
    for (const [name, bytes] of other) expect(bytes).not.toBe(made.get(name));
  });
});

/** The nine squares of 2 × 2 patches. */
const squares = [0, 1, 2, 4, 5, 6, 8, 9, 10].map((first) => [first, first + 1, first + 4, first + 5]);

/** Files by name, as text that can be compared. */
function contents(folder: string, name: string): Map<string, string> {
  const files = readdirSync(join(folder, name), { recursive: true, encoding: "utf8" }).filter((file) =>
    file.endsWith(".png"),
  );
  return new Map(files.map((file) => [file, readFileSync(join(folder, name, file)).toString("base64")]));
}

describe("is refused, and nothing is written:", () => {
  it("a folder that exists, numbers that ten classes cannot share, a seed that is no number", async () => {
    const { folder, options } = cifar();
    mkdirSync(join(folder, "out"));
    await expect(makePositiveControl({ ...options, train: 15, test: 0, seed: Number.NaN })).rejects.toMatchObject({
      exitCode: 2,
      message: [
        `${join(folder, "out")}: must not exist yet; give another folder`,
        "--seed: must be a whole number, got NaN",
        "--train: must be a multiple of 10, as many scenes of each class, got 15",
        "--test: must be a multiple of 10, as many scenes of each class, got 0",
      ].join("\n"),
    });
    expect(readdirSync(join(folder, "out"))).toEqual([]);
  });

  it("too few images of a class", async () => {
    const { folder, options } = cifar();
    // The test file's first record is an airplane; it becomes a second truck.
    const file = join(options.input, "test_batch.bin");
    const records = readFileSync(file);
    records[0] = 9;
    writeFileSync(file, records);
    await expect(makePositiveControl(options)).rejects.toMatchObject({
      exitCode: 3,
      message: `${options.input}: must hold at least 1 test images of each class, got 0 of airplane; lower --test`,
    });
    expect(readdirSync(folder).sort()).toEqual(["cifar"]);
  });

  it("class folders without some of CIFAR-10's", async () => {
    const { folder, options } = cifar();
    const input = join(folder, "folders");
    vi.stubEnv("PATCHDROP_CACHE", join(folder, "cache")); // where decoded images are kept
    onTestFinished(() => void vi.unstubAllEnvs());
    for (const split of ["train", "test"]) {
      for (const name of cifar10Classes.filter((name) => name !== "cat" && name !== "ship")) {
        mkdirSync(join(input, split, name), { recursive: true });
        await sharp({ create: { width: 32, height: 32, channels: 3, background: "red" } }).toFile(
          join(input, split, name, "0.png"),
        );
      }
    }
    await expect(makePositiveControl({ ...options, input })).rejects.toMatchObject({
      exitCode: 3,
      message: `${input}: must hold CIFAR-10's classes, got no cat, no ship; give the folder of CIFAR-10`,
    });
  });

  it("a folder without CIFAR-10, saying why in one line and naming no flag that there is not", async () => {
    const { folder, options } = cifar();
    const input = join(folder, "no");
    await expect(makePositiveControl({ ...options, input })).rejects.toMatchObject({
      exitCode: 3,
      message: `${input}: must hold all of CIFAR-10's images (${input}: must be a folder that can be read, got no such folder); give the folder of CIFAR-10`,
    });
  });
});

/** The grey of a class's nth object, another for every object; a training split of three a class, a test split of one. */
function greyOf(split: string, label: number, nth: number): number {
  return (split === "train" ? 10 * nth : 30) + label + 200;
}

/** A folder with CIFAR-10 of grey images in its binary layout, 30 + 10 of them, and what makes scenes of all of them. */
function cifar(): { folder: string; options: PositiveControlOptions } {
  const folder = temporaryFolder(onTestFinished);
  const input = join(folder, "cifar");
  mkdirSync(input);
  const record = (split: string, n: number) =>
    Buffer.concat([Buffer.of(n % 10), Buffer.alloc(3072, greyOf(split, n % 10, Math.floor(n / 10)))]);
  const records = (split: string, from: number, count: number) =>
    Buffer.concat(Array.from({ length: count }, (_, i) => record(split, from + i)));
  for (let part = 0; part < 5; part++) {
    writeFileSync(join(input, `data_batch_${part + 1}.bin`), records("train", 6 * part, 6));
  }
  writeFileSync(join(input, "test_batch.bin"), records("test", 0, 10));
  return { folder, options: { input, output: join(folder, "out"), train: 30, test: 10, seed: 1 } };
}
