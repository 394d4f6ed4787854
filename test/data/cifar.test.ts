import { copyFile, mkdir, mkdtemp, readFile, rm, truncate, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { gunzipSync, gzipSync } from "node:zlib";
import { pack } from "tar-stream";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type CifarKind, openCifar } from "../../src/data/cifar.ts";
import { datasetConformance } from "../conformance/dataset.ts";

// Written by scripts/make-cifar-fixture.py: two images a file, of the formula below.
const fixtures = join(import.meta.dirname, "../golden/cifar");
const imageBytes = 3072;

const expectedLabel = (n: number, classes: number): number =>
  classes === 20 ? (n * 7 + 11) % 20 : (n * 3 + 1) % classes;

/** Image n as bytes [32, 32, 3]. */
function expectedImage(n: number): Uint8Array {
  const out = new Uint8Array(imageBytes);
  for (let row = 0; row < 32; row++) {
    for (let column = 0; column < 32; column++) {
      for (let channel = 0; channel < 3; channel++) {
        out[3 * (32 * row + column) + channel] = (n * 40 + channel * 80 + row * 2 + column) % 256;
      }
    }
  }
  return out;
}

/** A CIFAR-10 batch in the binary format. */
function batch(labels: number[], pixel = 9): Buffer {
  return Buffer.concat(labels.map((label) => Buffer.concat([Buffer.of(label), Buffer.alloc(imageBytes, pixel)])));
}

const batchNames = [1, 2, 3, 4, 5].map((number) => `data_batch_${number}.bin`);
let folder = "";
let serial = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-cifar-"));
});
afterAll(() => rm(folder, { recursive: true, force: true }));

async function newFolder(): Promise<string> {
  const path = join(folder, `case-${serial++}`);
  await mkdir(path);
  return path;
}

/** A folder with a small CIFAR-10 in the binary format, one of its files replaced. */
async function binaryFolder(changes: Record<string, Buffer | undefined> = {}): Promise<string> {
  const path = await newFolder();
  const files = Object.fromEntries([...batchNames, "test_batch.bin"].map((name, index) => [name, batch([index, 9])]));
  for (const [name, bytes] of Object.entries({ ...files, ...changes })) {
    if (bytes !== undefined) await writeFile(join(path, name), bytes);
  }
  return path;
}

async function failure(open: Promise<unknown>): Promise<{ message: string; exitCode: number }> {
  return open.then(
    () => Promise.reject(new Error("it was read")),
    (error: { message: string; exitCode: number }) => error,
  );
}

describe("openCifar", () => {
  const archives: [CifarKind, string, number, number][] = [
    ["cifar10", "cifar-10-python.tar.gz", 10, 10],
    ["cifar10", "cifar-10-binary.tar.gz", 10, 10],
    ["cifar100", "cifar-100-python.tar.gz", 100, 2],
    ["cifar100", "cifar-100-binary.tar.gz", 100, 2],
    ["cifar100_coarse", "cifar-100-python.tar.gz", 20, 2],
    ["cifar100_coarse", "cifar-100-binary.tar.gz", 20, 2],
  ];
  it.each(archives)("reads %s from %s, in the order of the batches", async (name, archive, classes, length) => {
    const path = await newFolder();
    await copyFile(join(fixtures, archive), join(path, archive));
    for (const dataDir of [path, join(path, archive)]) {
      const { train, test } = await openCifar(name, dataDir);
      expect([train.length, test.length, train.classes.length]).toEqual([length, 2, classes]);
      const out = new Uint8Array(length * imageBytes);
      await train.read(
        Uint32Array.from({ length }, (_, n) => n),
        out,
      );
      for (let n = 0; n < length; n++) {
        expect(train.labels[n]).toBe(expectedLabel(n, classes));
        expect(Buffer.compare(out.subarray(n * imageBytes, (n + 1) * imageBytes), expectedImage(n))).toBe(0);
      }
      expect([...test.labels]).toEqual([0, 1].map((n) => expectedLabel(n, classes)));
    }
  });

  it("gives both formats the same fingerprint", async () => {
    const [python, binary] = ["cifar-10-python.tar.gz", "cifar-10-binary.tar.gz"].map((archive) =>
      openCifar("cifar10", join(fixtures, archive)),
    );
    expect((await python).train.fingerprint).toBe((await binary).train.fingerprint);
  });

  it("reads a folder's own files, and the official folder in it", async () => {
    const own = await binaryFolder();
    const outer = await newFolder();
    const inner = join(outer, "cifar-10-batches-bin");
    await mkdir(inner);
    for (const name of [...batchNames, "test_batch.bin"]) await copyFile(join(own, name), join(inner, name));
    for (const dataDir of [own, outer]) {
      const { train, test } = await openCifar("cifar10", dataDir);
      expect([...train.labels]).toEqual([0, 9, 1, 9, 2, 9, 3, 9, 4, 9]);
      expect([...test.labels]).toEqual([5, 9]);
      expect(train.classes[9]).toBe("truck");
    }
  });

  it("knows CIFAR-100's fine classes, sorted and without doubles", async () => {
    const { train } = await openCifar("cifar100", fixtures);
    expect([...train.classes].sort()).toEqual(train.classes);
    expect([train.classes[0], train.classes[47], train.classes[99]]).toEqual(["apple", "maple_tree", "worm"]);
  });

  describe("refuses", () => {
    const cases: [string, Record<string, Buffer | undefined>, string][] = [
      [
        "a short file",
        { "data_batch_3.bin": batch([1, 2]).subarray(0, 6000) },
        "data_batch_3.bin: must have a multiple of 3073 bytes (CIFAR-10's record), at least one, " +
          "got 6000 bytes: 1 records and 2927 bytes; the file is cut or damaged: copy it again",
      ],
      ["a long file", { "test_batch.bin": Buffer.alloc(2 * 3073 + 5) }, "got 6151 bytes: 2 records and 5 bytes"],
      ["an empty file", { "data_batch_1.bin": Buffer.alloc(0) }, "got 0 bytes: 0 records and 0 bytes"],
      [
        "a label out of range",
        { "data_batch_2.bin": batch([3, 10]) },
        "data_batch_2.bin: record 1: label must be in 0..9, got 10; is it CIFAR-10's file?",
      ],
      [
        "CIFAR-100's records",
        { "data_batch_1.bin": Buffer.alloc(3074) },
        "got 3074 bytes: 1 records and 1 bytes; it fits CIFAR-100: use --dataset cifar100",
      ],
      [
        "missing files",
        { "data_batch_4.bin": undefined, "test_batch.bin": undefined },
        "must hold 6 files, got 4 of them; missing: data_batch_4.bin, test_batch.bin; copy them all",
      ],
    ];
    it.each(cases)("%s", async (_, changes, message) => {
      const error = await failure(openCifar("cifar10", await binaryFolder(changes)));
      expect(error.message).toContain(message);
      expect(error.exitCode).toBe(3);
    });

    it("a folder with the other CIFAR", async () => {
      const path = await newFolder();
      await writeFile(join(path, "train.bin"), Buffer.alloc(3074));
      const error = await failure(openCifar("cifar10", path));
      expect(error.message).toBe(
        `${path}: must hold CIFAR-10, got CIFAR-100; use --dataset cifar100, or the folder of CIFAR-10`,
      );
      expect(error.exitCode).toBe(3);
    });

    it("a folder with none, saying what was looked for", async () => {
      const path = await newFolder();
      await mkdir(join(path, "train")); // a folder of classes is no CIFAR-100 file
      const error = await failure(openCifar("cifar100", path));
      expect(error.message).toContain("must hold CIFAR-100: cifar-100-binary/, cifar-100-binary.tar.gz or train.bin");
      expect(error.exitCode).toBe(3);
    });

    it("CIFAR-100's pickle as CIFAR-10's, by its key", async () => {
      const path = await newFolder();
      const tar = gunzipSync(await readFile(join(fixtures, "cifar-100-python.tar.gz")));
      const { test } = await readTar(tar);
      for (const name of [...batchNames.map((file) => file.slice(0, -4)), "test_batch"]) {
        await writeFile(join(path, name), test);
      }
      const error = await failure(openCifar("cifar10", path));
      expect(error.message).toContain('must have CIFAR-10\'s key "labels", got fine_labels; use --dataset cifar100');
      expect(error.exitCode).toBe(3);
    });

    it("a pickle that is none", async () => {
      const path = await newFolder();
      await writeFile(join(path, "train"), "not a pickle");
      await writeFile(join(path, "test"), "not a pickle");
      expect((await failure(openCifar("cifar100", path))).exitCode).toBe(3);
    });

    it("a pickle without images", async () => {
      const path = await newFolder();
      const dict = Buffer.from("(dp0\nS'fine_labels'\np1\n(lp2\nI1\nas.", "latin1"); // {"fine_labels": [1]}, protocol 0
      await writeFile(join(path, "train"), dict);
      await writeFile(join(path, "test"), dict);
      const error = await failure(openCifar("cifar100", path));
      expect(error.message).toBe(`${join(path, "train")}: must have "data", uint8 [N, 3072]`);
    });

    it("an archive that is cut", async () => {
      const path = await newFolder();
      const archive = join(path, "cifar-10-binary.tar.gz");
      await copyFile(join(fixtures, "cifar-10-binary.tar.gz"), archive);
      await truncate(archive, 500);
      const error = await failure(openCifar("cifar10", path));
      expect(error.message).toBe(`${archive}: must be a whole .tar.gz, got unexpected end of file; download it again`);
      expect(error.exitCode).toBe(3);
    });

    it("an archive that holds a file twice, or a link in a file's place", async () => {
      const twice = await archiveOf([
        { name: "cifar-100-binary/train.bin", bytes: Buffer.alloc(3074) },
        { name: "./cifar-100-binary/train.bin", bytes: Buffer.alloc(3074) },
      ]);
      expect((await failure(openCifar("cifar100", twice))).message).toContain("must be in the archive once");
      const link = await archiveOf([
        { name: "cifar-100-binary/train.bin", bytes: Buffer.alloc(3074) },
        { name: "cifar-100-binary/test.bin", linkname: "/etc/passwd" },
      ]);
      expect((await failure(openCifar("cifar100", link))).message).toContain("missing: test.bin");
    });

    it("an archive that claims to unpack to more than CIFAR", async () => {
      const path = await newFolder();
      const file = join(path, "cifar-100-binary.tar.gz");
      await writeFile(file, gzipSync(ustarHeader("cifar-100-binary/train.bin", 300e6))); // the bytes never come
      const error = await failure(openCifar("cifar100", path));
      expect(error.message).toContain("must have at most 200000000 bytes, got 300000000");
    });
  });
});

async function archiveOf(entries: { name: string; bytes?: Buffer; linkname?: string }[]): Promise<string> {
  const path = await newFolder();
  const packed = pack();
  for (const { name, bytes, linkname } of entries) {
    if (linkname === undefined) packed.entry({ name }, bytes ?? Buffer.alloc(0));
    else packed.entry({ name, type: "symlink", linkname });
  }
  packed.finalize();
  const chunks: Uint8Array[] = [];
  for await (const chunk of packed) chunks.push(chunk as Uint8Array);
  await writeFile(join(path, "cifar-100-binary.tar.gz"), gzipSync(Buffer.concat(chunks)));
  return path;
}

/** The header of a file in a ustar archive (POSIX.1-1988): name, mode, size, checksum, type, magic. */
function ustarHeader(name: string, size: number): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0);
  header.write("0000644\0", 100);
  header.write(size.toString(8).padStart(11, "0"), 124);
  header.write("        0", 148); // while it is summed, the checksum counts as blanks
  header.write("ustar\u000000", 257);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}

/** Files of an uncompressed ustar archive by their last name. */
async function readTar(tar: Buffer): Promise<Record<string, Buffer>> {
  const files: Record<string, Buffer> = {};
  for (let at = 0; tar[at] !== 0 && at < tar.length; ) {
    const name = tar.toString("latin1", at, tar.indexOf(0, at)).split("/").at(-1) ?? "";
    const size = Number.parseInt(tar.toString("latin1", at + 124, at + 135), 8);
    files[name] = tar.subarray(at + 512, at + 512 + size);
    at += 512 + 512 * Math.ceil(size / 512);
  }
  return files;
}

datasetConformance(
  "CIFAR-10",
  async () => (await openCifar("cifar10", fixtures)).train,
  async () => (await openCifar("cifar10", await binaryFolder({ "data_batch_1.bin": batch([0, 8]) }))).train,
);
