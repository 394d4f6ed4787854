import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { resizeBilinear } from "../../src/data/resize.ts";
import { middlePart } from "../../src/data/transforms.ts";
import { bytesIn } from "../../src/utils/pixel-array.ts";
// Pillow's results; scripts/make-resize-golden.py
import golden from "../golden/resize.json" with { type: "json" };

/** The golden file's input: pixel n of the byte array is (n · n · 31 + n · 7) >> 3, modulo 256. */
function formula(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, n) => Math.floor((n * n * 31 + n * 7) / 8) & 255);
}

const sha256 = (bytes: Uint8Array): string => createHash("sha256").update(bytes).digest("hex");

describe("resizeBilinear", () => {
  it.each(golden.resize)(
    `is Pillow ${golden.pillow}'s, bit for bit: $from to $to`,
    ({ from, to, bytes, sha256: hash }) => {
      const [width, height] = from;
      const [outWidth, outHeight] = to;
      const out = resizeBilinear(formula(width, height), { width, height }, { width: outWidth, height: outHeight });
      if (bytes !== undefined) expect([...out]).toEqual([...Buffer.from(bytes, "base64")]);
      expect(sha256(out)).toBe(hash);
    },
  );

  it.each(golden.bands)("of four bands, too: $from to $to", ({ from, to, bytes, sha256: hash }) => {
    const [width, height] = from;
    const pixels = Uint8Array.from(
      { length: width * height * 4 },
      (_, n) => Math.floor((n * n * 31 + n * 7) / 8) & 255,
    );
    const out = resizeBilinear(pixels, { width, height }, { width: to[0], height: to[1] });
    if (bytes !== undefined) expect([...out]).toEqual([...Buffer.from(bytes, "base64")]);
    expect(sha256(out)).toBe(hash);
  });

  it.each(golden.values)("of measured values, too: $from to $to", ({ from, to, sha256: hash }) => {
    const [width, height] = from;
    const made = (n: number) => ((n * n * 31 + n * 7) % 65_536) / 16 - 1000;
    const values = Float32Array.from({ length: width * height }, (_, n) => made(n));
    const out = resizeBilinear(values, { width, height }, { width: to[0], height: to[1] });
    expect(sha256(bytesIn(out))).toBe(hash);
  });

  it("makes of values what those give that are there", () => {
    // As below; without the second of the three, which weigh 3, 3 and 1: (3 · 0 + 1 · 140) / 4 = 35. Of two bands, one after the other.
    const row = Float32Array.of(0, 5, Number.NaN, 5, 140, 5, 210, Number.NaN);
    const out = resizeBilinear(row, { width: 4, height: 1 }, { width: 2, height: 1 });
    expect(out[0]).toBeCloseTo(35, 4);
    expect(out[2]).toBeCloseTo((3 * 140 + 3 * 210) / 6, 3);
    expect([out[1], out[3]]).toEqual([5, 5]);
    const nothing = resizeBilinear(
      new Float32Array(4).fill(Number.NaN),
      { width: 4, height: 1 },
      { width: 2, height: 1 },
    );
    expect([...nothing]).toEqual([Number.NaN, Number.NaN]);
  });

  it("weighs as a triangle of the scale's width: worked by hand", () => {
    // 4 pixels to 2: the triangle of output 0 is centred at 1 with half-width 2; weights of pixels 0, 1, 2 at distance
    // 0.5, 0.5, 1.5 are 0.75, 0.75, 0.25, summing to 1.75: (0.75 · 0 + 0.75 · 70 + 0.25 · 140) / 1.75 = 50
    const grey = (values: number[]): Uint8Array => Uint8Array.from(values.flatMap((value) => [value, value, value]));
    const out = resizeBilinear(grey([0, 70, 140, 210]), { width: 4, height: 1 }, { width: 2, height: 1 });
    expect([...out]).toEqual([...grey([50, 160])]);
  });

  it("makes a region as it would stand in the whole", () => {
    const from = { width: 23, height: 31 };
    const to = { width: 40, height: 19 };
    const region = { left: 7, top: 3, width: 11, height: 9 };
    const whole = resizeBilinear(formula(23, 31), from, to);
    const expected = Array.from({ length: 9 }, (_, y) => [
      ...whole.subarray(3 * ((y + 3) * 40 + 7), 3 * ((y + 3) * 40 + 18)),
    ]);
    expect([...resizeBilinear(formula(23, 31), from, to, region)]).toEqual(expected.flat());
  });
});

describe("middlePart", () => {
  it.each(golden.crop)(
    `is torchvision's rule on Pillow's resize: $from to $size`,
    ({ from, size, bytes, sha256: hash }) => {
      const [width, height] = from;
      const out = bytesIn(middlePart({ pixels: formula(width, height), width, height }, size));
      if (bytes !== undefined) expect([...out]).toEqual([...Buffer.from(bytes, "base64")]);
      expect(sha256(out)).toBe(hash);
    },
  );
});
