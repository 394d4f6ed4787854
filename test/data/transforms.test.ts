import { describe, expect, it } from "vitest";
import { cropAndFlip } from "../../src/data/transforms.ts";
import { Random } from "../../src/utils/random.ts";

const size = 6;
const imageBytes = size * size * 3;

/** An image whose every byte is its own number, from 1: a 0 can only be padding. */
const image = Uint8Array.from({ length: imageBytes }, (_, at) => at + 1);

function augmented(stream: Random, position: number): Uint8Array {
  const out = new Uint8Array(imageBytes).fill(255);
  cropAndFlip(image, out, size, stream, position);
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

describe("cropAndFlip", () => {
  it("is one of the 81 crops of the padded image, or its mirror, each equally often", () => {
    expect(allOutcomes.size).toBe(162);
    const counts = new Map(allOutcomes);
    const stream = new Random(1, "augment", 0);
    const draws = 8_100;
    for (let position = 0; position < draws; position++) {
      const outcome = augmented(stream, position).join();
      counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    }
    expect(counts.size).toBe(162); // no outcome but those
    const chiSquare = [...counts.values()].reduce((sum, count) => sum + (count - 50) ** 2 / 50, 0);
    expect(chiSquare).toBeLessThan(220); // 161 degrees of freedom, p = 0.001
  });

  it("depends on an image's position in the epoch, not on the batch it comes in", () => {
    const batch = new Uint8Array(5 * imageBytes);
    for (let n = 0; n < 5; n++) batch.set(image, n * imageBytes);
    const together = new Uint8Array(5 * imageBytes);
    cropAndFlip(batch, together, size, new Random(3, "augment", 2), 10);
    for (let n = 0; n < 5; n++) {
      const alone = augmented(new Random(3, "augment", 2), 10 + n);
      expect(together.subarray(n * imageBytes, (n + 1) * imageBytes)).toEqual(alone);
    }
  });

  it("leaves its input alone", () => {
    augmented(new Random(1, "augment"), 0);
    expect([...image.subarray(0, 3)]).toEqual([1, 2, 3]);
  });
});
