import { describe, expect, it } from "vitest";
import { type Draws, drawsOf, padCropFlip, type TransformName, transforms } from "../../src/data/transforms.ts";
import { Random } from "../../src/utils/random.ts";
import { sha256 } from "../../src/utils/sha256.ts";
// Pillow's results; scripts/golden/transforms.py
import golden from "../golden/transforms.json" with { type: "json" };

interface GoldenCase {
  transform: string;
  from: number[];
  size: number;
  /** A bound and the number drawn below it, each. */
  integers?: number[][];
  uniform?: number;
  bytes: string;
}

/** The golden file's input: pixel n of the byte array is (n · n · 31 + n · 7) >> 3, modulo 256. */
function formula(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, n) => Math.floor((n * n * 31 + n * 7) / 8) & 255);
}

/** Gives the lots of a golden case, and holds the bounds against it. */
function lots({ integers = [], uniform }: GoldenCase): Draws {
  const left = integers.slice();
  return {
    padding: 4,
    integer: (bound) => {
      const [expected, drawn] = left.shift()!;
      expect(bound).toBe(expected);
      return drawn;
    },
    flip: () => uniform! < 0.5,
  };
}

describe("transforms", () => {
  it.each(golden.cases as GoldenCase[])(
    `are torchvision's on Pillow ${golden.pillow}, byte for byte: $transform, $from to $size, $integers $uniform`,
    (golden) => {
      const { transform, from, size, integers, bytes } = golden;
      const [width, height] = from;
      const out = new Uint8Array(size * size * 3);
      const draws = integers === undefined ? undefined : lots(golden);
      const image = { pixels: formula(width, height), width, height };
      transforms[transform as TransformName](image, size, out, draws);
      expect([...out]).toEqual([...Buffer.from(bytes, "base64")]);
    },
  );

  it("draw two numbers for the place and one for the flip, from the image's own block", () => {
    const stream = new Random(5, "augment", 3).seek(12);
    const [top, left, mirrored] = [stream.integer(9), stream.integer(9), stream.uniform() < 0.5];
    const images = new Map<string, Uint8Array>();
    for (const draws of [drawsOf({ seed: 5, epoch: 3, firstPosition: 10 })(2), lotsAt(top, left, mirrored)]) {
      const out = new Uint8Array(imageBytes);
      padCropFlip(image, out, size, draws);
      images.set(out.join(), out);
    }
    expect(images.size).toBe(1);
  });
});

const size = 6;
const imageBytes = size * size * 3;

/** An image whose every byte is its own number, from 1: a 0 can only be padding. */
const image = Uint8Array.from({ length: imageBytes }, (_, at) => at + 1);

function lotsAt(top: number, left: number, mirrored: boolean): Draws {
  const numbers = [top, left];
  return { padding: 4, integer: () => numbers.shift()!, flip: () => mirrored };
}

function augmented(draws: Draws): Uint8Array {
  const out = new Uint8Array(imageBytes).fill(255);
  padCropFlip(image, out, size, draws);
  return out;
}

/** The definition: pad 4 on each side with black, cut at (top, left), mirror. */
function byDefinition(top: number, left: number, mirrored: boolean): number[] {
  const out: number[] = [];
  for (let y = 0; y < size; y++) {
    for (let x = 0; x < size; x++) {
      const column = left + (mirrored ? size - 1 - x : x) - 4;
      const row = top + y - 4;
      const inside = row >= 0 && row < size && column >= 0 && column < size;
      for (let channel = 0; channel < 3; channel++) out.push(inside ? image[3 * (row * size + column) + channel] : 0);
    }
  }
  return out;
}

const allOutcomes = new Map<string, number>();
for (let top = 0; top <= 8; top++) {
  for (let left = 0; left <= 8; left++) {
    for (const mirrored of [false, true]) allOutcomes.set(byDefinition(top, left, mirrored).join(), 0);
  }
}

describe("padCropFlip", () => {
  it("is one of the 81 crops of the padded image, or its mirror, each equally often", () => {
    expect(allOutcomes.size).toBe(162);
    const counts = new Map(allOutcomes);
    const draws = drawsOf({ seed: 1, epoch: 0, firstPosition: 0 });
    const total = 8_100;
    for (let position = 0; position < total; position++) {
      const outcome = augmented(draws(position)).join();
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
    expect(counts.size).toBe(162); // no outcome but those
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 50) ** 2 / 50, 0);
    expect(chiSquare).toBeLessThan(220); // 161 degrees of freedom, p = 0.001
  });

  it("gives the bits of earlier versions: three images of an epoch", () => {
    const draws = drawsOf({ seed: 3, epoch: 2, firstPosition: 10 });
    expect([0, 1, 2].map((slot) => sha256(augmented(draws(slot))).slice(0, 16))).toEqual([
      "89da94a111eef58c",
      "e4af484b6d6de5c6",
      "436fc25ace92b0be",
    ]);
  });

  it("leaves its input alone", () => {
    augmented(drawsOf({ seed: 1, epoch: 0, firstPosition: 0 })(0));
    expect([...image.subarray(0, 3)]).toEqual([1, 2, 3]);
  });
});
