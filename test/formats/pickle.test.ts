import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readPickle } from "../../src/formats/pickle.ts";
import { NumpyArray } from "../../src/formats/pickle-numpy.ts";
import { type PickleDict, PickleTuple, type PickleValue } from "../../src/formats/pickle-values.ts";
import { expectRefusal, mutations } from "../fuzz.ts";
import { refusal } from "../refusal.ts";

/** Written by fixtures/make-pickles.py with Python 2.7 and numpy 1.16, Python 3.11 and numpy 2.4. */
function fixture(name: string): Uint8Array {
  return readFileSync(new URL(`fixtures/${name}.pkl`, import.meta.url));
}

/** Bytes from text and numbers: `pickle("K", 3, ".")`. */
function pickle(...parts: (string | number | Uint8Array)[]): Uint8Array {
  return Buffer.concat(
    parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : Buffer.from(part as string, "latin1"))),
  );
}

const refusalOf = (bytes: Uint8Array) => refusal(() => readPickle(bytes, "batch"));

function text(value: PickleValue | undefined): string {
  return typeof value === "string" ? value : Buffer.from(value as Uint8Array).toString("latin1");
}

const pixels = Uint8Array.from({ length: 144 }, (_, i) => (i * 37 + 11) % 256);
const python2 = [0, 1, 2].map((protocol) => `batch-python2-protocol${protocol}`);
const python3 = [0, 1, 2, 3, 4, 5].map((protocol) => `batch-python3-protocol${protocol}`);

describe("readPickle on batches like CIFAR's", () => {
  it.each([...python2, ...python3])("reads %s", (name) => {
    const batch = readPickle(fixture(name), name) as PickleDict;
    expect(text(batch.get("batch_label"))).toBe("training batch 1 of 5");
    expect(batch.get("labels")).toEqual([6, 9, 4]);
    expect((batch.get("filenames") as PickleValue[]).map(text)).toEqual([
      "leptodactylus_pentadactylus_s_000004.png",
      "camion_s_000148.png",
      "a\\'\"\n.png",
    ]);
    const data = batch.get("data") as NumpyArray;
    expect(data).toBeInstanceOf(NumpyArray);
    expect([data.dtype, ...data.shape]).toEqual(["u1", 3, 48]);
    expect(Buffer.compare(data.data, pixels)).toBe(0);
  });

  it.each(python3)("reads every plain value in %s", (name) => {
    const extra = (readPickle(fixture(name), name) as PickleDict).get("extra") as PickleDict;
    expect(Buffer.from(extra.get("bytes") as Uint8Array).toString("hex")).toBe("00ff");
    expect(extra.get("none")).toBeNull();
    expect(extra.get("tuple")).toEqual(new PickleTuple([1, -2.5, true, false]));
    expect(extra.get("empty")).toEqual([new Uint8Array(0), new PickleTuple([]), new Map(), ""]);
    expect(extra.get("ints")).toEqual([0, 255, 256, 65536, -1, 2 ** 31, -(2 ** 40), 2n ** 70n]);
    expect(extra.get("text")).toBe("é € 😀 \\u0041 \n");
    expect(extra.get("long")).toEqual(Array.from({ length: 1001 }, (_, i) => i));
    const columns = extra.get("columns") as NumpyArray; // written column by column, read row by row
    expect([columns.dtype, ...columns.shape]).toEqual(["i4", 2, 3]);
    expect([...new Int32Array(columns.data.slice().buffer)]).toEqual([0, 1, 2, 3, 4, 5]);
    const floats = extra.get("floats") as NumpyArray;
    expect([...new Float64Array(floats.data.slice().buffer)]).toEqual([1.5, -2]);
  });

  it("answers damaged batches with a value or a PatchDropError", () => {
    const sources = [fixture("batch-python2-protocol2"), fixture("batch-python2-protocol0")];
    const edit = fc.record({ at: fc.nat(800), byte: fc.nat(255), kind: fc.constantFrom("set", "insert", "remove") });
    const edits = fc.array(edit, { minLength: 1, maxLength: 4 });
    const longest = { ms: 0 };
    fc.assert(
      fc.property(fc.constantFrom(...sources), edits, (source, changes) => {
        const bytes = [...source];
        for (const { at, byte, kind } of changes) {
          bytes.splice(at % bytes.length, kind === "insert" ? 0 : 1, ...(kind === "remove" ? [] : [byte]));
        }
        const start = performance.now();
        try {
          readPickle(Uint8Array.from(bytes), "batch");
        } catch (error) {
          expectRefusal(error);
        }
        longest.ms = Math.max(longest.ms, performance.now() - start);
      }),
      { numRuns: mutations },
    );
    expect(longest.ms).toBeLessThan(10_000);
  });
});

describe("readPickle", () => {
  it("reads old numbers and text as Python does", () => {
    const line = (opcode: string, literal: string) => readPickle(pickle(`${opcode}${literal}\n.`), "p");
    expect(line("I", "-12")).toBe(-12);
    expect(line("I", "01")).toBe(true);
    expect(line("I", "00")).toBe(false);
    expect(line("L", "12345678901234567890L")).toBe(12345678901234567890n);
    expect(line("F", "-1.5e-3")).toBe(-0.0015);
    expect(line("F", "nan")).toBe(Number.NaN);
    expect(text(line("S", "'\\x41B\\\\n\\''"))).toBe("AB\\n'");
    expect(line("V", "\\u20ac\\U0001F600\\n")).toBe("€😀\\n");
    expect(readPickle(pickle("J", 0xfe, 0xff, 0xff, 0xff, "."), "p")).toBe(-2);
    expect(readPickle(pickle(0x8a, 1, 0xff, "."), "p")).toBe(-1);
    expect(readPickle(pickle(0x8a, 0, "."), "p")).toBe(0);
  });

  it("keeps __proto__ as a key like any other", () => {
    const dict = readPickle(pickle("}U", 9, "__proto__K", 7, "s."), "p") as PickleDict;
    expect([...dict]).toEqual([["__proto__", 7]]);
  });

  it("shares a value that the memo names twice", () => {
    const list = readPickle(pickle("](](K", 5, "eq", 0, "h", 0, "e."), "p") as PickleValue[];
    expect(list).toEqual([[5], [5]]);
    expect(list[0]).toBe(list[1]);
  });

  it("takes further names and persistent ids from its caller", () => {
    const allow = new Map([["collections.OrderedDict", () => new Map()]]);
    const bytes = pickle("ccollections\nOrderedDict\n)RU", 1, "wU", 3, "idsQs.");
    const value = readPickle(bytes, "p", { allow, persistentLoad: (id) => `<${text(id)}>` }) as PickleDict;
    expect([...value]).toEqual([["w", "<ids>"]]);
    expect(refusalOf(bytes).message).toContain("got collections.OrderedDict");
  });

  const official = "use files from their official source, and do not open this one with Python";
  const onlyData = "a pickle may only name what plain data needs";
  it.each<[string, Uint8Array, string]>([
    ["a function", pickle("cposix\nsystem\n(S'ls'\ntR."), `byte 14: ${onlyData}, got posix.system; ${official}`],
    [
      "a function by STACK_GLOBAL",
      pickle(0x80, 4, 0x8c, 8, "builtins", 0x8c, 4, "eval", 0x93, "."),
      `byte 19: ${onlyData}, got builtins.eval; ${official}`,
    ],
    ["an inherited name", pickle("cconstructor\n\n."), `byte 14: ${onlyData}, got constructor.; ${official}`],
    ["an instance", pickle("(iposix\nsystem\n."), `byte 1: the opcode INST is not read; ${official}`],
    ["a class", pickle("cnumpy\nndarray\n)", 0x81, "."), `byte 16: the opcode NEWOBJ is not read; ${official}`],
    ["a buffer from outside", pickle(0x97, "."), `byte 0: the opcode NEXT_BUFFER is not read; ${official}`],
    [
      "a persistent id",
      pickle("K", 1, "Q."),
      `byte 3: a pickle must not point outside itself (persistent id); ${official}`,
    ],
    [
      "a second pickle",
      pickle("K", 1, ".cposix\nsystem\n."),
      "byte 3: the file must end with its pickle; a second pickle after the first is a way to hide one, got 15 more bytes",
    ],
  ])("refuses %s as unsafe", (_, bytes, message) => {
    const error = refusalOf(bytes);
    expect(error.message).toBe(`batch: ${message}`);
    expect(error.exitCode).toBe(4);
  });

  const dtype = "cnumpy\ndtype\n(U\x02u1K\x00K\x01tR(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb";
  const array = "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01btR";
  it.each<[string, Uint8Array, string]>([
    ["nothing", pickle(""), "byte 0: 1 more bytes must follow, got 0; is the file whole?"],
    ["a JPEG", pickle(0xff, 0xd8), "byte 0: must be an opcode of a pickle, got 0xff; is it a pickle?"],
    ["a protocol to come", pickle(0x80, 6, "N."), "byte 2: the pickle protocol must be 0 to 5, got 6"],
    ["a string cut short", pickle("U", 9, "abc"), "byte 2: 9 more bytes must follow, got 3; is the file whole?"],
    [
      "a length of 8 bytes",
      pickle(0x8e, "\xff".repeat(8), "."),
      "byte 9: 18446744073709551615 more bytes must follow, got 1; is the file whole?",
    ],
    ["a line without end", pickle("I12"), "byte 1: the line must end"],
    ["letters for a number", pickle("I0x1\n."), "byte 5: must be a decimal integer, got 0x1"],
    ["a float of words", pickle("Fone\n."), "byte 5: must be a decimal number, got one"],
    ["a negative slot", pickle("Np-1\n."), "byte 5: a memo's slot must be a number ≥ 0, got -1"],
    ["an empty slot", pickle("h", 3, "."), "byte 2: a memo's slot must be filled before it is read, got 3"],
    ["no quotes", pickle("Sabc\n."), "byte 5: a string must stand in quotes"],
    ["an unknown escape", pickle("S'\\q'\n."), "byte 6: a string's escapes must be those of Python's repr"],
    ["half an escape", pickle("S'\\x4'\n."), "byte 7: a string's escapes must be those of Python's repr"],
    ["a character's half", pickle("V\\u20a\n."), "byte 7: \\u and \\U need 4 and 8 digits, at most 10ffff"],
    ["a character too far", pickle("V\\U00110000\n."), "byte 12: \\u and \\U need 4 and 8 digits, at most 10ffff"],
    ["text that is not UTF-8", pickle("X", 1, 0, 0, 0, 0xff, "."), "byte 6: text must be UTF-8"],
    ["an empty stack", pickle("."), "byte 1: a pickle must leave one value, got 0, 0 open marks"],
    ["two values", pickle("NN."), "byte 3: a pickle must leave one value, got 2, 0 open marks"],
    ["an open mark", pickle("N(."), "byte 3: a pickle must leave one value, got 0, 1 open marks"],
    ["no mark", pickle("t."), "byte 1: an opcode needs an open mark"],
    ["no value", pickle("0."), "byte 1: an opcode needs a value on the stack"],
    ["an append to a dict", pickle("}Na."), "byte 3: only a list can be appended to"],
    ["items for a list", pickle("]NNs."), "byte 4: only a dict can be given items"],
    ["half an item", pickle("}(Nu."), "byte 4: a dict's items must be pairs, got 1 values"],
    ["a key twice", pickle("}(K", 1, "NK", 1, "Nu."), "byte 9: each key may appear once, got 1 twice"],
    ["a tuple as key", pickle("})Ns."), "byte 4: a dict's key must be str, bytes or a number"],
    [
      "a cycle",
      pickle("]q", 0, "h", 0, "a."),
      "byte 6: a container must not change once it is inside another (is there a cycle?)",
    ],
    ["a call of data", pickle("K", 1, ")R."), "byte 4: REDUCE must call a name"],
    ["a call without tuple", pickle("cnumpy\ndtype\nNR."), "byte 15: REDUCE must call with a tuple"],
    ["a call of a type", pickle("cnumpy\nndarray\n)R."), "byte 17: this name may not be called, got numpy.ndarray"],
    ["a state for data", pickle("]Nb."), "byte 3: BUILD needs an object that takes a state"],
    ["a huge integer", pickle(0x8b, 1, 4, 0, 0, "."), "byte 5: an integer may have at most 1024 bytes, got 1025"],
    ["dtype of 1", pickle("cnumpy\ndtype\n(U\x02u1tR."), "byte 20: numpy.dtype takes (code, align, copy)"],
    [
      "objects",
      pickle("cnumpy\ndtype\n(U\x02O8K\x00K\x01tR."),
      "byte 24: numpy.dtype must be one of b1, u1, i1, u2, i2, u4, i4, u8, i8, f4, f8, got O8",
    ],
    [
      "a record dtype",
      pickle(dtype.replace("NNN", "N)N"), "."),
      "numpy.dtype takes the state of a plain number type, version 3",
    ],
    [
      "big-endian",
      pickle(dtype.replace("u1", "u2").replace("|", ">"), "."),
      "numpy.dtype u2 must be little-endian, got >",
    ],
    [
      "another array type",
      pickle(array.replace("ndarray", "dtype"), "."),
      "_reconstruct takes (numpy.ndarray, (0,), b'b')",
    ],
    [
      "an array's short state",
      pickle(`${array}(K\x01tb.`),
      "numpy.ndarray takes the state (1, shape, dtype, order, bytes)",
    ],
    [
      "fewer pixels than declared",
      pickle(`${array}(K\x01(K\x02K\x03t${dtype}I00\nU\x05abcdetb.`),
      "numpy.ndarray of u1 [2, 3] needs 6 bytes, got 5",
    ],
    [
      "a negative size",
      pickle(`${array}(K\x01(J\xff\xff\xff\xfft${dtype}I00\nU\x00tb.`),
      "numpy.ndarray needs a shape of at most 64 sizes ≥ 0",
    ],
    ["no pixels", pickle(`${array}(K\x01(K\x02t${dtype}I00\n]tb.`), "numpy.ndarray needs its elements as bytes"],
    ["no dtype", pickle(`${array}(K\x01(K\x02tNI00\nU\x02abtb.`), "numpy.ndarray needs a dtype of numbers"],
    ["another codec", pickle("c_codecs\nencode\n(V\\u20ac\nVutf8\ntR."), "_codecs.encode takes (text, 'latin1')"],
    [
      "wide text",
      pickle("c_codecs\nencode\n(V\\u20ac\nVlatin1\ntR."),
      "_codecs.encode takes characters up to 255, got 8364",
    ],
  ])("refuses %s", (_, bytes, message) => {
    const error = refusalOf(bytes);
    expect(error.message.endsWith(message), error.message).toBe(true);
    expect(error.message).toMatch(/^batch: byte \d+: /);
    expect(error.exitCode).toBe(3);
  });

  it.each<[string, Uint8Array, string]>([
    ["marks", pickle("(".repeat(65)), "byte 65: a pickle may open at most 64 marks"],
    ["nested tuples", pickle(")", "\x85".repeat(64), "."), "byte 65: a pickle's values may nest at most 64 levels"],
    ["opcodes", pickle("N0".repeat(1_000_001), "."), "byte 2000001: a pickle may have at most 2000000 opcodes"],
    [
      "copies of one large value",
      pickle(
        "X\x00\x00\x10\x00",
        "a".repeat(1 << 20),
        "q\x00c_codecs\nencode\nq\x010",
        "h\x01(h\x00Vlatin1\ntR0".repeat(9),
      ),
      "a pickle must not unpack to many times its size",
    ],
  ])("limits %s", (_, bytes, message) => {
    const error = refusalOf(bytes);
    expect(error.message.endsWith(message), error.message).toBe(true);
    expect(error.exitCode).toBe(6);
  });
});
