import { expect, it } from "vitest";
import { SlowWatch } from "../../src/utils/slow-watch.ts";

/** What a watch says of steps of 100 images, each of so many ms. */
function said(steps: readonly number[]): (number | undefined)[] {
  const watch = new SlowWatch();
  return steps.map((ms) => watch.step(100, ms));
}

const usual = Array<number>(11).fill(1000);

it("says once that steps have taken more than three times the median's for 30 s", () => {
  const slow = Array<number>(12).fill(4000);
  const all = said([...usual, ...slow, ...usual, ...slow]);
  // 8 of them are 32 s.
  expect(all.indexOf(4)).toBe(11 + 7);
  expect(all.filter((times) => times !== undefined)).toEqual([4]);
});

it("says nothing of steps up to three times as long, of short pauses, nor of a run that was slow from its start", () => {
  expect(said([...usual, ...Array<number>(20).fill(3000)])).not.toContain(3);
  expect(said([...usual, 20_000, 1000, 20_000, 1000]).every((times) => times === undefined)).toBe(true);
  expect(said(Array<number>(50).fill(9000)).every((times) => times === undefined)).toBe(true);
});

it("counts by image: a smaller batch is not a faster one, and one of none says nothing", () => {
  const watch = new SlowWatch();
  for (const ms of usual) watch.step(100, ms);
  expect([watch.step(10, 29_000), watch.step(0, 99_000), watch.step(10, 1000)]).toEqual([undefined, undefined, 150]);
});
