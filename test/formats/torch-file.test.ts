import { readdirSync, readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { TensorData } from "../../src/formats/safetensors.ts";
import { readStoredZip, writeStoredZip } from "../../src/formats/stored-zip.ts";
import { readTorchFile, type TorchValue } from "../../src/formats/torch-file.ts";
import { expectRefusal, mutations } from "../fuzz.ts";
import { refusal } from "../refusal.ts";
import { zip } from "../setup/zip.ts";

/** Written by scripts/fixtures/make-torch-files.py with PyTorch 2.15. */
const folder = new URL("fixtures/torch/", import.meta.url);
const fixture = (name: string) => new Uint8Array(readFileSync(new URL(name, folder)));

type Dict = ReadonlyMap<string | number, TorchValue>;

/** A tensor's numbers, or its bits where JavaScript has no such number. */
function numbers({ dtype, data }: TensorData): readonly (number | bigint | string)[] {
  const { buffer, byteOffset, byteLength } = data;
  if (dtype === "F32") return [...new Float32Array(buffer, byteOffset, byteLength / 4)];
  if (dtype === "F64") return [...new Float64Array(buffer, byteOffset, byteLength / 8)];
  if (dtype === "I64") return [...new BigInt64Array(buffer, byteOffset, byteLength / 8)];
  if (dtype === "I32") return [...new Int32Array(buffer, byteOffset, byteLength / 4)];
  if (dtype === "I16") return [...new Int16Array(buffer, byteOffset, byteLength / 2)];
  if (dtype === "I8") return [...new Int8Array(buffer, byteOffset, byteLength)];
  if (dtype === "F16" || dtype === "BF16")
    return [...new Uint16Array(buffer, byteOffset, byteLength / 2)].map((bits) => bits.toString(16));
  return [...data];
}

const refusalOf = (bytes: Uint8Array) => refusal(() => readTorchFile(bytes, "file"));

/** Bytes from text and numbers: `pickle("K", 3, ".")`. */
function pickle(...parts: (string | number)[]): Uint8Array {
  return Buffer.from(
    parts.map((part) => (typeof part === "number" ? String.fromCharCode(part) : part)).join(""),
    "latin1",
  );
}

/** A zip of torch.save around a pickle, with one storage "0". */
function torchZip(program: string, storage: Uint8Array = new Uint8Array(8)): Uint8Array {
  return writeStoredZip(
    new Map([
      ["a/data.pkl", pickle(program)],
      ["a/data/0", storage],
    ]),
  );
}

/** Opcodes for the storage "0" of float32, said to have `elements` (< 256); in the stream `view` is "N", None. */
function storage(elements: number, view: "" | "N"): string {
  return `(U\x07storagectorch\nFloatStorage\nU\x010U\x03cpuK${String.fromCharCode(elements)}${view}tQ`;
}

/** Opcodes for a tensor; `layout` holds those of offset, sizes and strides. */
function tensor(layout: string, elements = 2, view: "" | "N" = ""): string {
  return `ctorch._utils\n_rebuild_tensor_v2\n(${storage(elements, view)}${layout}\x89ccollections\nOrderedDict\n)RtR`;
}

/** Opcodes of the number 2^32. */
const wide = "\x8a\x05\x00\x00\x00\x00\x01";
/** Both elements of the storage. */
const both = "K\x00(K\x02t(K\x01t";

/** The older stream around a pickle, with one storage "0" of float32 numbers. */
function torchStream(program: string, values: readonly number[], keys = "](U\x010e."): Uint8Array {
  const count = new Uint8Array(BigUint64Array.of(BigInt(values.length)).buffer);
  const start = "\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}U\rlittle_endian\x88s.";
  return Buffer.concat([pickle(start, program, keys), count, new Uint8Array(Float32Array.from(values).buffer)]);
}

describe("readTorchFile", () => {
  const expected: [name: string, dtype: string, shape: number[], values: readonly (number | bigint | string)[]][] = [
    ["float32", "F32", [2, 3], [-1, -0.5, 0, 0.5, 1, 1.5]],
    ["float64", "F64", [2], [0.1, -2.5]],
    ["float16", "F16", [2], ["3e00", "c000"]], // 1.5 and −2: sign, 5 bits of exponent, 10 of fraction
    ["bfloat16", "BF16", [2], ["3fc0", "c000"]], // the upper half of a float32
    ["int64", "I64", [2], [-1n, 2n ** 40n]],
    ["int32", "I32", [2], [-1, 70000]],
    ["int16", "I16", [2], [-1, 300]],
    ["int8", "I8", [2], [-1, 7]],
    ["uint8", "U8", [2], [0, 255]],
    ["bool", "BOOL", [2], [1, 0]],
    ["scalar", "F32", [], [0.5]],
    ["empty", "F32", [0, 3], []],
    ["transposed", "F32", [3, 2], [0, 3, 1, 4, 2, 5]],
    ["transposed64", "I64", [3, 2], [0n, 3n, 1n, 4n, 2n, 5n]],
    ["transposed8", "U8", [3, 2], [0, 3, 1, 4, 2, 5]],
    ["row", "F32", [4], [0, 0.25, 0.5, 0.75]], // i / 4 − 1 for i = 4 … 7
    ["column", "F32", [3], [-0.75, 0.25, 1.25]], // for i = 1, 5, 9
    ["expanded", "F32", [3], [7, 7, 7]],
    ["parameter", "F32", [2], [1, 2]],
  ];

  it.each(["everything-zip.pth", "everything-legacy.pth"])("reads every type and layout in %s", (name) => {
    const bytes = fixture(name);
    const file = readTorchFile(bytes, name) as Dict;
    const tensors = file.get("tensors") as ReadonlyMap<string, TensorData>;
    const found = [...tensors].map(([key, value]) => [key, value.dtype, value.shape, numbers(value)]);
    expect(found).toEqual(expected);
    expect(file.get("plain")).toEqual(
      new Map<string | number, TorchValue>([
        ["list", [1, -2.5, true, null, 2 ** 40, "é"]],
        ["tuple", [1, ["a"]]],
        [5, "five"],
      ]),
    );
    const shared = (key: string) => tensors.get(key)!.data.buffer;
    // A contiguous tensor of the zip is the file's own memory; the stream's are not aligned.
    expect(shared("row") === bytes.buffer).toBe(name.includes("zip"));
    expect(shared("column") === bytes.buffer).toBe(false);
  });

  it("reads what Python 2 and PyTorch 0.3 wrote", () => {
    const program =
      "\x80\x02ccollections\nOrderedDict\n](](U\x0bconv.weight" +
      `ctorch._utils\n_rebuild_tensor\n(${storage(3, "N")}K\x01(K\x02t(K\x01ttRee\x85R` +
      "}U\x09_metadataccollections\nOrderedDict\n](]\x28U\x00}ee\x85Rsb.";
    const state = readTorchFile(torchStream(program, [5, 6, 7]), "file") as ReadonlyMap<string, TensorData>;
    expect([...state.keys()]).toEqual(["conv.weight"]);
    expect(numbers(state.get("conv.weight")!)).toEqual([6, 7]);
  });

  it("reads a file that was saved without checksums", () => {
    const file = readTorchFile(fixture("no-checksums.pth"), "file") as ReadonlyMap<string, TensorData>;
    expect(numbers(file.get("a")!)).toEqual([0, 1]);
  });

  it("makes one object of what the memo names often, however often", () => {
    // [t, t], of which [·, ·], … : 2^40 tensors, if each were made
    const doubling = Array.from({ length: 40 }, (_, i) => ["q", i, "0](h", i, "h", i, "e"]).flat();
    const program = Buffer.from(pickle(tensor(both), ...doubling, ".")).toString("latin1");
    const value = readTorchFile(torchZip(program), "file");
    let inner = value;
    while (Array.isArray(inner)) {
      expect(inner[0]).toBe(inner[1]);
      inner = inner[0];
    }
    expect(numbers(inner as TensorData)).toEqual([0, 0]);
  });
});

const advice = "save model.state_dict() instead of the model; if the file is not your own, do not open it with Python";

describe("readTorchFile refuses", () => {
  it.each<[string, Uint8Array, RegExp | string]>([
    ["a whole model", fixture("model-zip.pth"), `got __main__.Model; ${advice}`],
    ["a whole model in the older stream", fixture("model-legacy.pth"), `got __main__.Model; ${advice}`],
    ["a command", torchZip("cposix\nsystem\n(S'ls'\ntR."), `got posix.system; ${advice}`],
    [
      "a command by STACK_GLOBAL",
      torchZip("\x80\x04\x8c\x08builtins\x8c\x04eval\x93."),
      `got builtins.eval; ${advice}`,
    ],
    ["a command in the stream", torchStream("cos\nsystem\n(S'ls'\ntR.", []), `got os.system; ${advice}`],
    ["a name inside torch", torchZip("ctorch.hub\nload\n)R."), `got torch.hub.load; ${advice}`],
    ["an instance", torchZip("(iposix\nsystem\n."), `the opcode INST is not read; ${advice}`],
    ["a second pickle", torchZip("N.cposix\nsystem\n."), "is a way to hide one, got 15 more bytes"],
    [
      "a second pickle after the storages",
      Buffer.concat([torchStream(`${tensor(both, 2, "N")}.`, [1, 2]), pickle("N.")]),
      "byte 183: the file must end with its storages; a second pickle after them is a way to hide one, got 2 more bytes",
    ],
    [
      "TorchScript",
      writeStoredZip(
        new Map([
          ["a/data.pkl", pickle("N.")],
          ["a/constants.pkl", pickle("N.")],
        ]),
      ),
      "file: a file of torch.jit.save holds code, which is not read",
    ],
  ])("%s as unsafe", (_, bytes, message) => {
    const error = refusalOf(bytes);
    expect(error.message).toContain(message);
    expect(error.exitCode).toBe(4);
  });

  it.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(0), "must be a file of torch.save"],
    ["text", pickle("<html>"), "must be a file of torch.save"],
    ["another pickle", pickle("\x80\x02K\x05."), "must be a file of torch.save"],
    [
      "a storage smaller than declared",
      torchZip(`${tensor("K\x00(K\xfft(K\x01t", 255)}.`),
      "file: data/0: a storage of 255 F32 needs 1020 bytes, got 8; is the file whole?",
    ],
    [
      "a storage smaller than declared, in the stream",
      torchStream(`${tensor(both, 3, "N")}.`, [1, 2]),
      "the storage 0 must have 3 elements, got 2",
    ],
    [
      "a storage that is not there",
      writeStoredZip(new Map([["a/data.pkl", pickle(`${tensor(both)}.`)]])),
      "is missing a storage, data/0",
    ],
    [
      "a storage that is not there, in the stream",
      torchStream(`${tensor(both, 2, "N")}.`, [], "]."),
      "is missing a storage, key 0",
    ],
    [
      "a tensor past its storage",
      torchZip(`${tensor("K\x01(K\x02t(K\x01t")}.`),
      "within its storage of 2 elements, got element 2",
    ],
    ["a stride past its storage", torchZip(`${tensor("K\x00(K\x02t(K\x02t")}.`), "within its storage of 2 elements"],
    ["a negative offset", torchZip(`${tensor("J\xff\xff\xff\xff(K\x02t(K\x01t")}.`), "an offset ≥ 0"],
    ["a negative size", torchZip(`${tensor("K\x00(J\xff\xff\xff\xfft(K\x01t")}.`), "at most 64 sizes, each a whole"],
    [
      "a negative stride",
      torchZip(`${tensor("K\x01(K\x02t(J\xff\xff\xff\xfft")}.`),
      "at most 64 strides, each a whole",
    ],
    [
      "sizes whose product is 2^64, 0 when wrapped around",
      torchZip(`${tensor(`K\x00(${wide}${wide}t(${wide}K\x01t`)}.`),
      "within its storage of 2 elements, got element 18446744073709552000",
    ],
    ["more strides than sizes", torchZip(`${tensor("K\x00(K\x02t(K\x01K\x01t")}.`), "as many strides as sizes"],
    ["one storage with two sizes", torchZip(`](${tensor(both)}${tensor(both, 3)}e.`), "one type and size"],
    [
      "a storage of its own",
      torchZip(`${storage(2, "")}.`),
      "file: must hold only tensors and plain values, not storages or classes",
    ],
    ["a persistent id of another kind", torchZip("U\x01xQ."), "a persistent id must be ('storage'"],
    ["a parameter of nothing", torchZip("ctorch._utils\n_rebuild_parameter\n(N\x88NtR."), "_rebuild_parameter takes"],
    [
      "a key twice",
      torchZip("ccollections\nOrderedDict\n](](U\x01aNe](U\x01aNee\x85R."),
      "each key may appear once, got a twice",
    ],
    [
      "a big-endian file",
      writeStoredZip(
        new Map([
          ["a/data.pkl", pickle("N.")],
          ["a/byteorder", pickle("big")],
        ]),
      ),
      "the file must be written by a little-endian machine, got big; save it anew on one, or its tensors as .safetensors",
    ],
    ["a zip without data.pkl", writeStoredZip(new Map([["data.pkl", pickle("N.")]])), "must hold one data.pkl, got 0"],
    [
      "a zip with two",
      writeStoredZip(
        new Map([
          ["a/data.pkl", pickle("N.")],
          ["b/data.pkl", pickle("N.")],
        ]),
      ),
      "got 2",
    ],
    [
      "a deflated zip",
      zip([{ name: "a/data.pkl", bytes: pickle("N.".padEnd(99, "N")) }]),
      "must be stored, neither compressed",
    ],
    [
      "a zip bomb",
      zip([{ name: "a/data.pkl", bytes: pickle("N."), size: 2 ** 31 }]),
      "entries must not share their bytes",
    ],
    [
      "a zip cut short",
      fixture("everything-zip.pth").subarray(0, 6000),
      "must end with its directory; is the file whole?",
    ],
    ["a stream cut short", fixture("everything-legacy.pth").subarray(0, 2700), "more bytes must follow"],
    [
      "a zip with a damaged storage",
      torchZip(`${tensor(both)}.`, new Uint8Array(8).fill(0xab)).map((byte) => (byte === 0xab ? 0xac : byte)),
      "every entry must match its checksum",
    ],
  ])("%s", (_, bytes, message) => {
    const error = refusalOf(bytes);
    expect(error.message).toContain(message);
    expect(error.message).not.toContain("\n");
    expect(error.exitCode).toBe(3);
  });

  it.each([
    ["a tensor expanded beyond all reason", torchZip(`${tensor(`K\x00(${wide}t(K\x00t`)}.`)],
    ["a large tensor copied often", torchZip(`](${tensor("K\x00(M\xff\xfft(K\x00t").repeat(5)}e.`)],
  ])("%s, by its limit", (_, bytes) => {
    const error = refusalOf(bytes);
    expect(error.message).toContain("a pickle must not unpack to many times its size");
    expect(error.exitCode).toBe(6);
  });
});

describe("readTorchFile on damaged files", () => {
  const names = readdirSync(folder);
  const runs = Math.ceil(mutations / names.length);

  it.each(names)(`answers ${runs} mutations of %s with a value or a PatchDropError`, (name) => {
    const whole = fixture(name);
    const entries = whole[0] === 0x50 ? readStoredZip(whole, name) : undefined;
    const inner = [...(entries?.keys() ?? [])].find((entry) => entry.endsWith("data.pkl"));
    const edit = fc.record({
      at: fc.nat(whole.length),
      byte: fc.nat(255),
      kind: fc.constantFrom("set", "insert", "remove"),
    });
    const edits = fc.array(edit, { minLength: 1, maxLength: 4 });
    const mutate = (bytes: Uint8Array, changes: readonly { at: number; byte: number; kind: string }[]) => {
      const changed = [...bytes];
      for (const { at, byte, kind } of changes) {
        changed.splice(at % changed.length, kind === "insert" ? 0 : 1, ...(kind === "remove" ? [] : [byte]));
      }
      return Uint8Array.from(changed);
    };
    fc.assert(
      fc.property(edits, fc.boolean(), (changes, outer) => {
        // The archive's checksums would hide the pickle: half of the time it is changed before they are made.
        const bytes =
          outer || entries === undefined || inner === undefined
            ? mutate(whole, changes)
            : writeStoredZip(new Map([...entries, [inner, mutate(entries.get(inner)!, changes)]]));
        try {
          readTorchFile(bytes, name);
        } catch (error) {
          expectRefusal(error);
          if ((error as Error).message.includes("\n")) throw new Error("an error must be one line", { cause: error });
        }
      }),
      { numRuns: runs },
    );
  });
});
