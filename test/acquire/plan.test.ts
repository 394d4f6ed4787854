/** Windows, tiles and ranges, worked out by hand and by counting bytes one by one. */
import fc from "fast-check";
import { expect, it } from "vitest";
import { type ByteRange, mergeRanges, subtractRanges, tilesOf } from "../../src/acquire/plan.ts";

it("a window has the tiles that it touches", () => {
  const grid = { tileWidth: 16, tileHeight: 8, columns: 4, rows: 3 };
  expect(tilesOf(grid, { x: 0, y: 0, width: 16, height: 8 })).toEqual([0]);
  expect(tilesOf(grid, { x: 15, y: 7, width: 2, height: 2 })).toEqual([0, 1, 4, 5]);
  expect(tilesOf(grid, { x: 40, y: 16, width: 100, height: 100 })).toEqual([10, 11]);
});

const range = (start: number, end: number): ByteRange => ({ start, end });

it("neighbours are one range, and a range is not too long", () => {
  const given = [range(50, 60), range(0, 10), range(12, 20), range(20, 30), range(5, 8), range(40, 40)];
  expect(mergeRanges(given, { gap: 0, longest: 100 })).toEqual([range(0, 10), range(12, 30), range(50, 60)]);
  expect(mergeRanges(given, { gap: 2, longest: 100 })).toEqual([range(0, 30), range(50, 60)]);
  expect(mergeRanges(given, { gap: 20, longest: 25 })).toEqual([range(0, 20), range(20, 30), range(50, 60)]);
});

it("what is held is not fetched", () => {
  const held = [range(8, 12), range(30, 31), range(10, 15)];
  expect(subtractRanges([range(0, 10), range(14, 40)], held)).toEqual([range(0, 8), range(15, 30), range(31, 40)]);
  expect(subtractRanges([range(9, 15)], held)).toEqual([]);
});

const someRanges = fc.array(
  fc.tuple(fc.nat(60), fc.nat(12)).map(([start, length]) => range(start, start + length)),
  { maxLength: 12 },
);
const bytesOf = (ranges: readonly ByteRange[]) =>
  ranges.flatMap(({ start, end }) => Array.from({ length: end - start }, (_, i) => start + i));
const sorted = (numbers: Iterable<number>) => [...numbers].sort((a, b) => a - b);

it("no byte is lost, none comes twice", () => {
  fc.assert(
    fc.property(someRanges, someRanges, fc.nat(5), (wanted, held, gap) => {
      const merged = mergeRanges(wanted, { gap: 0, longest: 20 });
      expect(bytesOf(merged)).toEqual(sorted(new Set(bytesOf(wanted))));
      const missing = subtractRanges(merged, held);
      const had = new Set(bytesOf(held));
      expect(bytesOf(missing)).toEqual(bytesOf(merged).filter((byte) => !had.has(byte)));
      const bridged = bytesOf(mergeRanges(wanted, { gap, longest: 1000 }));
      expect(new Set(bridged).size).toBe(bridged.length);
      expect(bytesOf(merged).every((byte) => bridged.includes(byte))).toBe(true);
    }),
  );
});
