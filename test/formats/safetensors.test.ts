import fc from "fast-check";
import { describe, expect, it } from "vitest";
import {
  asFloat32,
  decodeSafetensors,
  encodeSafetensors,
  finiteFloat32,
  float32Tensor,
  type StateDict,
  type TensorData,
} from "../../src/formats/safetensors.ts";
import { expectRefusal, mutations } from "../fuzz.ts";
import { refusal } from "../refusal.ts";

/** A file with the given header and data, its length written as in the format's description. */
function file(header: unknown, data: readonly number[] = []): Uint8Array {
  const json = new TextEncoder().encode(typeof header === "string" ? header : JSON.stringify(header));
  const bytes = new Uint8Array(8 + json.length + data.length);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  bytes.set(data, 8 + json.length);
  return bytes;
}

const refusalOf = (bytes: Uint8Array) => refusal(() => decodeSafetensors(bytes, "m.safetensors"));

const u8 = (begin: number, end: number) => ({ dtype: "U8", shape: [end - begin], data_offsets: [begin, end] });

describe("encodeSafetensors", () => {
  it("writes the bytes that the format's description gives", () => {
    const bytes = encodeSafetensors(new Map([["a", float32Tensor([2], new Float32Array([1, -2]))]]), { k: "v" });
    const header = '{"__metadata__":{"k":"v"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}';
    const padded = header.padEnd(Math.ceil(header.length / 8) * 8, " ");
    const expected = [padded.length, 0, 0, 0, 0, 0, 0, 0, ...new TextEncoder().encode(padded)];
    // 1.0 is 0x3f800000 and -2.0 is 0xc0000000, little-endian
    expect([...bytes]).toEqual([...expected, 0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
  });

  it("keeps the map's order in the header and puts wide elements first in the data", () => {
    const tensors: StateDict = new Map<string, TensorData>([
      ["10", { dtype: "U8", shape: [3], data: new Uint8Array([7, 8, 9]) }],
      ["__proto__", float32Tensor([1], new Float32Array([0.5]))],
      ["2", { dtype: "I64", shape: [], data: new Uint8Array([1, 0, 0, 0, 0, 0, 0, 0]) }],
    ]);
    const bytes = encodeSafetensors(tensors);
    const { tensors: read } = decodeSafetensors(bytes, "f");
    expect([...read.keys()]).toEqual(["10", "__proto__", "2"]);
    expect(read).toEqual(tensors);
    expect([...bytes.slice(-15)]).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x3f, 7, 8, 9]);
  });

  it("refuses a tensor whose bytes do not fit, as a bug of ours", () => {
    expect(() => float32Tensor([3], new Float32Array(2))).toThrow("float32Tensor: F32 [3] needs 12 bytes, got 8");
    const short: TensorData = { dtype: "I32", shape: [2, 2], data: new Uint8Array(15) };
    expect(() => encodeSafetensors(new Map([["w", short]]))).toThrow(
      expect.objectContaining({ kind: "internal", message: "safetensors: w: I32 [2, 2] needs 16 bytes, got 15" }),
    );
    expect(() => encodeSafetensors(new Map([["__metadata__", float32Tensor([0], new Float32Array(0))]]))).toThrow(
      "safetensors: no tensor may be named __metadata__",
    );
  });
});

describe("decodeSafetensors", () => {
  it("reads what the reference implementation wrote", () => {
    // safetensors 0.8.0: save({"fc.weight": [[1,2,3],[4,5,6.5]] float32, "n": 7 int64, "mask": [1,0,1] bool}, {"format": "pt"})
    const written =
      "0AAAAAAAAAB7Il9fbWV0YWRhdGFfXyI6eyJmb3JtYXQiOiJwdCJ9LCJuIjp7ImR0eXBlIjoiSTY0Iiwic2hhcGUiOltdLCJkYXRhX29mZnNldHMi" +
      "OlswLDhdfSwiZmMud2VpZ2h0Ijp7ImR0eXBlIjoiRjMyIiwic2hhcGUiOlsyLDNdLCJkYXRhX29mZnNldHMiOls4LDMyXX0sIm1hc2siOnsiZHR5" +
      "cGUiOiJCT09MIiwic2hhcGUiOlszXSwiZGF0YV9vZmZzZXRzIjpbMzIsMzVdfX0gBwAAAAAAAAAAAIA/AAAAQAAAQEAAAIBAAACgQAAA0EABAAE=";
    const { tensors, metadata } = decodeSafetensors(Buffer.from(written, "base64"), "f");
    expect([...metadata]).toEqual([["format", "pt"]]);
    expect([...tensors.keys()]).toEqual(["n", "fc.weight", "mask"]);
    expect(tensors.get("fc.weight")?.shape).toEqual([2, 3]);
    expect([...asFloat32(tensors.get("fc.weight") as TensorData)]).toEqual([1, 2, 3, 4, 5, 6.5]);
    expect(tensors.get("n")).toEqual({ dtype: "I64", shape: [], data: new Uint8Array([7, 0, 0, 0, 0, 0, 0, 0]) });
    expect(tensors.get("mask")).toEqual({ dtype: "BOOL", shape: [3], data: new Uint8Array([1, 0, 1]) });
  });

  it("gives float32 values from a file at any position in memory", () => {
    const whole = encodeSafetensors(new Map([["w", float32Tensor([3], new Float32Array([1.5, -0, 3e38]))]]));
    const shifted = new Uint8Array(whole.length + 1);
    shifted.set(whole, 1);
    const { tensors } = decodeSafetensors(shifted.subarray(1), "f");
    expect([...asFloat32(tensors.get("w") as TensorData)]).toEqual([1.5, -0, Math.fround(3e38)]);
  });

  it("reads metadata, scalars, empty tensors and keys out of the ordinary", () => {
    const header =
      '{"b":{"dtype":"U8","shape":[],"data_offsets":[0,1]},"__metadata__":{"format":"pt","__proto__":"x"},' +
      '"é\\"{\\u005b":{"dtype":"F64","shape":[0,3],"data_offsets":[1,1]}}   ';
    const { tensors, metadata } = decodeSafetensors(file(header, [9]), "f");
    expect([...metadata]).toEqual([
      ["format", "pt"],
      ["__proto__", "x"],
    ]);
    expect([...tensors.keys()]).toEqual(["b", 'é"{[']);
    expect(tensors.get("b")).toEqual({ dtype: "U8", shape: [], data: new Uint8Array([9]) });
    expect(tensors.get('é"{[')).toEqual({ dtype: "F64", shape: [0, 3], data: new Uint8Array(0) });
  });

  it("returns what was encoded, whatever the names, dtypes and sizes", () => {
    const widths = { F64: 8, F32: 4, BF16: 2, F16: 2, I64: 8, I32: 4, I16: 2, I8: 1, U8: 1, BOOL: 1 } as const;
    const tensor = fc
      .tuple(
        fc.constantFrom(...(Object.keys(widths) as (keyof typeof widths)[])),
        fc.array(fc.nat(4), { maxLength: 3 }),
      )
      .map(([dtype, shape]): TensorData => {
        const bytes = shape.reduce((product, size) => product * size, widths[dtype]);
        return { dtype, shape, data: Uint8Array.from({ length: bytes }, (_, i) => i + 1) };
      });
    const name = fc.string({ unit: "binary" }).filter((text) => text !== "__metadata__");
    const entries = fc.uniqueArray(fc.tuple(name, tensor), { selector: ([key]) => key, maxLength: 6 });
    fc.assert(
      fc.property(entries, (list) => {
        const { tensors } = decodeSafetensors(encodeSafetensors(new Map(list)), "f");
        expect([...tensors]).toEqual(list);
        for (const { dtype, data } of tensors.values()) expect(data.byteOffset % widths[dtype as "U8"]).toBe(0);
      }),
    );
  });

  const whole = "is it a whole .safetensors file?";
  it.each<[string, Uint8Array, string]>([
    ["nothing", new Uint8Array(0), `a safetensors file starts with 8 bytes of header length, got 0 bytes; ${whole}`],
    [
      "a header beyond the cap",
      Uint8Array.from([1, 0xe1, 0xf5, 5, 0, 0, 0, 0]),
      `the header may have at most 100000000 bytes, got 100000001; ${whole}`,
    ],
    [
      "a header longer than the file",
      Uint8Array.from([9, 0, 0, 0, 0, 0, 0, 0, 0x7b]),
      `the header has 9 bytes, got 1 bytes; ${whole}`,
    ],
    ["an array", file([]), `the header must be a JSON object starting with '{'; ${whole}`],
    ["leading space", file(" {}"), `the header must be a JSON object starting with '{'; ${whole}`],
    ["an entry that is no object", file({ a: 1 }), "a: must be a JSON object, got 1"],
    ["metadata that is no text", file({ __metadata__: { k: 1 } }), "__metadata__: k: must be text, got 1"],
    [
      "a key twice",
      file(`{"a":${JSON.stringify(u8(0, 1))},"a":${JSON.stringify(u8(0, 1))}}`, [1]),
      `each key may appear once, got a twice; ${whole}`,
    ],
    [
      "an unknown dtype",
      file({ a: { ...u8(0, 1), dtype: "toString" } }, [1]),
      "a: dtype must be one of F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL, got toString; save it in one of these: `tensor.float()`",
    ],
    [
      "a negative size",
      file({ a: { ...u8(0, 1), shape: [-1] } }, [1]),
      "a: shape must be a list of at most 64 whole numbers ≥ 0, got [-1]",
    ],
    [
      "three offsets",
      file({ a: { ...u8(0, 1), data_offsets: [0, 1, 2] } }, [1]),
      "a: data_offsets must be two whole numbers ≥ 0, got [0,1,2]",
    ],
    [
      "a product beyond 2^53",
      file({ a: { dtype: "F32", shape: [2 ** 40, 2 ** 40, 0], data_offsets: [0, 0] } }),
      "a: the shape's product must be below 2^53, got 1099511627776×1099511627776×0",
    ],
    [
      "offsets that go back",
      file({ a: { ...u8(0, 1), data_offsets: [1, 0] } }, [1]),
      "a: U8 [1] needs 1 bytes, got offsets 1 to 0",
    ],
    [
      "an overlap",
      file({ a: u8(0, 2), b: u8(1, 3) }, [1, 2, 3]),
      "b: must start at byte 2, where the tensor before it ends, got 1 (an overlap)",
    ],
    [
      "a hole",
      file({ a: u8(0, 1), b: u8(2, 3) }, [1, 2, 3]),
      "b: must start at byte 1, where the tensor before it ends, got 2 (a hole)",
    ],
    ["data cut short", file({ a: u8(0, 3) }, [1, 2]), "the header names 3 data bytes, got 2; is the file whole?"],
    [
      "bytes behind the data",
      file({ a: u8(0, 1) }, [1, 2]),
      "the header names 1 data bytes, got 2; is the file whole?",
    ],
  ])("refuses %s", (_, bytes, message) => {
    const error = refusalOf(bytes);
    expect(error.message).toBe(`m.safetensors: ${message}`);
    expect(error.exitCode).toBe(3);
  });

  it("refuses JSON and UTF-8 that are broken, with the parser's reason", () => {
    expect(refusalOf(file('{"a"')).message).toMatch(/^m\.safetensors: the header must be JSON in UTF-8, got .*JSON/);
    const badUtf8 = file("{}");
    badUtf8[9] = 0xff;
    expect(refusalOf(badUtf8).message).toMatch(/^m\.safetensors: the header must be JSON in UTF-8, got .*utf-8/);
    expect(refusalOf(file("[".repeat(200_000))).kind).toBe("input");
  });

  it("reports the faults of several tensors together, a bounded number of them", () => {
    const two = refusalOf(file({ a: { ...u8(0, 1), dtype: "X" }, b: { ...u8(0, 1), shape: "no" } }, [1]));
    expect(two.message.split("\n")).toEqual([
      expect.stringMatching(/^m\.safetensors: a: dtype must be/),
      'm.safetensors: b: shape must be a list of at most 64 whole numbers ≥ 0, got \\"no\\"',
    ]);
    const many = Object.fromEntries(Array.from({ length: 50 }, (_, i) => [`t${i}`, { dtype: `X${i}` }]));
    const lines = refusalOf(file(many)).message.split("\n");
    expect(lines).toHaveLength(21);
    expect(lines[20]).toBe("…: and 30 more faults");
  });

  it("says once what is wrong with all tensors", () => {
    const many = Object.fromEntries(Array.from({ length: 37 }, (_, i) => [`t${i}`, { dtype: "F8_E4M3" }]));
    const rule = "dtype must be one of F64, F32, F16, BF16, I64, I32, I16, I8, U64, U32, U16, U8, BOOL";
    const next = "save it in one of these: `tensor.float()`";
    expect(refusalOf(file(many)).message).toBe(`m.safetensors: t0 and 36 more tensors: ${rule}, got F8_E4M3; ${next}`);
  });

  it("keeps a message to one short line whatever a key holds", () => {
    const { message } = refusalOf(file({ [`\n\u001b[31m${"x".repeat(500)}`]: { dtype: "X" } }));
    expect(message).toMatch(/^m\.safetensors: \\n\\u001b\[31mx{50,100}: dtype must be/);
  });

  it("answers every damaged file with values or a PatchDropError", () => {
    const sound = encodeSafetensors(
      new Map([
        ["w", float32Tensor([2, 2], new Float32Array([1, 2, 3, 4]))],
        ["b", float32Tensor([2], new Float32Array([5, 6]))],
      ]),
    );
    const edit = fc.tuple(fc.nat(sound.length - 1), fc.nat(255));
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 4 }), fc.nat(sound.length), (edits, length) => {
        const bytes = sound.slice(0, length % 3 === 0 ? length : sound.length);
        for (const [at, value] of edits) bytes[at] = value;
        try {
          for (const { data } of decodeSafetensors(bytes, "f").tensors.values()) expect(data.length).toBeLessThan(100);
        } catch (error) {
          expectRefusal(error);
        }
      }),
      { numRuns: mutations },
    );
  });
});

describe("asFloat32", () => {
  const bits16 = (dtype: "F16" | "BF16", ...bits: number[]): TensorData => {
    return { dtype, shape: [bits.length], data: new Uint8Array(Uint16Array.from(bits).buffer) };
  };

  it("reads binary16 by IEEE 754: zeros, subnormal numbers, the ends of the range", () => {
    const subnormal = [0x0001, 0x8001, 0x0200, 0x03ff];
    const normal = [0x0400, 0x3555, 0x3c00, 0x3c01, 0xc000, 0x7bff];
    const values = [...asFloat32(bits16("F16", 0x0000, 0x8000, ...subnormal, ...normal))];
    expect(values).toEqual([
      ...[0, -0, 2 ** -24, -(2 ** -24), 2 ** -15, 1023 * 2 ** -24],
      ...[2 ** -14, 0.333251953125, 1, 1.0009765625, -2, 65504],
    ]);
    expect([...asFloat32(bits16("F16", 0x7c00, 0xfc00, 0x7e00, 0xfc01))]).toEqual([
      ...[Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, Number.NaN, Number.NaN],
    ]);
  });

  it("reads bfloat16 as the upper half of a float32", () => {
    const values = asFloat32(bits16("BF16", 0x3f80, 0xbf80, 0x4049, 0x8000, 0x0001, 0x7f7f, 0xff80, 0x7fc0));
    // The smallest subnormal number of float32 is 2^-149; 16 of its bits are cut off.
    const largest = (2 - 2 ** -7) * 2 ** 127;
    expect([...values]).toEqual([1, -1, 3.140625, -0, 2 ** -133, largest, Number.NEGATIVE_INFINITY, Number.NaN]);
  });

  it("rounds float64 to the nearest float32, ties to even", () => {
    const given = [
      0.1,
      1 + 2 ** -24,
      1 + 3 * 2 ** -24,
      1 + 2 ** -24 + 2 ** -50,
      2 ** -149,
      2 ** -150,
      -(2 ** -160),
      1e39,
    ];
    const tensor: TensorData = { dtype: "F64", shape: [8], data: new Uint8Array(Float64Array.from(given).buffer) };
    const expected = [13421773 * 2 ** -27, 1, 1 + 2 ** -22, 1 + 2 ** -23, 2 ** -149, 0, -0, Number.POSITIVE_INFINITY];
    expect([...asFloat32(tensor)]).toEqual(expected);
  });

  it("reads them from any aligned place in memory", () => {
    const { data } = bits16("F16", 0x7e00, 0x3c00, 0x7e00);
    expect([...asFloat32({ dtype: "F16", shape: [1], data: data.subarray(2, 4) })]).toEqual([1]);
  });

  it("refuses another dtype by the tensor's name", () => {
    const tensor: TensorData = { dtype: "I16", shape: [1], data: new Uint8Array(2) };
    expect(() => asFloat32(tensor, "agent: fc.bias")).toThrow(
      expect.objectContaining({
        kind: "input",
        message:
          "agent: fc.bias: the tensor must be F32, F16, BF16 or F64, got I16; save the weights as floating-point numbers",
      }),
    );
  });
});

describe("finiteFloat32", () => {
  it.each([
    ["NaN", Number.NaN],
    ["Infinity", Number.POSITIVE_INFINITY],
    ["-Infinity", Number.NEGATIVE_INFINITY],
  ])("refuses %s by the tensor's name and its place", (name, value) => {
    const error = refusal(() => finiteFloat32(float32Tensor([3], Float32Array.of(1, 2, value)), "a.pth: fc.bias"));
    expect([error.exitCode, error.message]).toEqual([
      7,
      `a.pth: fc.bias: must hold finite numbers, got ${name} as element 2 of 3; use an earlier or another checkpoint`,
    ]);
  });

  it("refuses what float32 has no room for, and takes the largest that it has", () => {
    const largest = (2 - 2 ** -23) * 2 ** 127;
    const of = (value: number): TensorData => {
      return { dtype: "F64", shape: [], data: new Uint8Array(Float64Array.of(value).buffer) };
    };
    expect([...finiteFloat32(of(largest), "w")]).toEqual([largest]);
    expect(refusal(() => finiteFloat32(of(1e39), "w")).kind).toBe("notFinite");
  });
});
