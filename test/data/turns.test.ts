import { describe, expect, it } from "vitest";
import { turn, turnImages } from "../../src/data/turns.ts";

describe("an image of 2 × 2", () => {
  // 1 2
  // 3 4
  it.each([
    [0, "as it is", [1, 2, 3, 4]],
    [1, "along the falling diagonal", [1, 3, 2, 4]],
    [2, "left and right", [2, 1, 4, 3]],
    [3, "a quarter to the left", [2, 4, 1, 3]],
    [4, "top and bottom", [3, 4, 1, 2]],
    [5, "a quarter to the right", [3, 1, 4, 2]],
    [6, "by half", [4, 3, 2, 1]],
    [7, "along the rising diagonal", [4, 2, 3, 1]],
  ])("way %d: %s", (way, _, expected) => {
    const image = Uint8Array.of(1, 2, 3, 4);
    turn(image, 2, way);
    expect([...image]).toEqual(expected);
    const bands = Uint8Array.from([1, 2, 3, 4].flatMap((pixel) => [pixel, 10 * pixel, 20 * pixel]));
    turn(bands, 2, way);
    expect([...bands]).toEqual(expected.flatMap((pixel) => [pixel, 10 * pixel, 20 * pixel]));
  });
});

describe("a batch", () => {
  const images = (count: number) => Uint8Array.from({ length: 4 * count }, (_, at) => 1 + (at % 4));
  const turned = (count: number, firstPosition: number, epoch = 1) => {
    const batch = images(count);
    turnImages(batch, 2, 1, { seed: 1, epoch, firstPosition });
    return Array.from({ length: count }, (_, n) => batch.subarray(4 * n, 4 * n + 4).join(""));
  };

  it("meets all eight ways, equally often", () => {
    const counts = new Map<string, number>();
    for (const way of turned(8000, 0)) counts.set(way, (counts.get(way) ?? 0) + 1);
    expect(counts.size).toBe(8);
    // 1000 ± 30 (the standard deviation): five of them.
    for (const [way, count] of counts) expect(Math.abs(count - 1000), way).toBeLessThan(150);
  });

  it("depends on seed, epoch and position alone", () => {
    expect([...turned(3, 0), ...turned(5, 3)]).toEqual(turned(8, 0));
    expect(turned(8, 0, 2)).not.toEqual(turned(8, 0));
  });
});
