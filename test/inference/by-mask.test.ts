import { describe, expect, it } from "vitest";
import { ByMask, filledUp } from "../../src/inference/by-mask.ts";

const patches = 2;
/** Of each image, its number and its mask as numbers; and which images were asked for. */
function counting(masks: Uint8Array, asked: (readonly number[])[]) {
  return (rows: Uint32Array | undefined) => {
    const all = rows === undefined ? Array.from({ length: masks.length / patches }, (_, b) => b) : [...rows];
    asked.push(all);
    return Float32Array.from(all.flatMap((b) => [b, masks[2 * b], masks[2 * b + 1]]));
  };
}
const expected = (masks: Uint8Array) =>
  Array.from({ length: masks.length / 2 }, (_, b) => [b, masks[2 * b], masks[2 * b + 1]]).flat();

describe("numbers by mask", () => {
  it("are computed once for each mask of each image", () => {
    const [known, asked]: [ByMask, number[][]] = [new ByMask(), []];
    const none = new Uint8Array(200 * patches);
    const some = none.slice();
    some[2 * 150 + 1] = 1;
    some[2 * 7] = 1;
    for (const masks of [none, none, some, some, none]) {
      expect([...known.of(masks, patches, counting(masks, asked))]).toEqual(expected(masks));
    }
    // The second time only two images have a mask that is new; others fill them up to 64.
    expect(asked.map(({ length }) => length)).toEqual([200, 64]);
    expect(asked[1].slice(0, 3)).toEqual([7, 150, 0]);
  });

  it("of a small batch are computed for all at once, in order", () => {
    const [known, asked]: [ByMask, number[][]] = [new ByMask(), []];
    const masks = Uint8Array.of(0, 0, 1, 1, 0, 1);
    expect([...known.of(masks, patches, counting(masks, asked))]).toEqual(expected(masks));
    const others = Uint8Array.of(0, 0, 1, 1, 1, 1);
    expect([...known.of(others, patches, counting(others, asked))]).toEqual(expected(others));
    expect(asked).toEqual([
      [0, 1, 2],
      [0, 1, 2],
    ]);
  });
});

it("rows are filled up to a multiple of 64, or are all rows in order", () => {
  expect(filledUp([5, 3], 65)).toEqual(
    Uint32Array.from([5, 3, 0, 1, 2, 4, ...Array.from({ length: 58 }, (_, i) => i + 6)]),
  );
  expect(filledUp([5, 3], 64)).toEqual(Uint32Array.from({ length: 64 }, (_, i) => i));
  expect(filledUp([], 64).length).toBe(0);
});
