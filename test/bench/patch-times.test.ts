/** Time by the number of patches: what is timed, and how times stand to the aims. */
import { expect, it } from "vitest";
import { aimOf, isAtAim, rowsOf, type TimedCase, tableOf, timedCounts } from "../../bench/patch-times.ts";

it("times 0, 2, 4, 8, 12 and 16 of sixteen patches, and the same shares of others, each once", () => {
  expect(timedCounts(16)).toEqual([0, 2, 4, 8, 12, 16]);
  expect(timedCounts(64)).toEqual([0, 8, 16, 32, 48, 64]);
  expect(timedCounts(4)).toEqual([0, 1, 2, 3, 4]);
});

it("asks for 15 % of the time with no patch, and for the rest in proportion", () => {
  expect(timedCounts(16).map((count) => aimOf(count, 16))).toEqual([0.15, 0.25625, 0.3625, 0.575, 0.7875, 1]);
});

it("is at an aim up to 5 % above it", () => {
  // 0.05 · 0.575 = 0.02875
  expect([0.546, 0.547, 0.603, 0.604].map((share) => isAtAim(share, 0.575))).toEqual([true, true, true, false]);
});

/** 10 ms the dense one; 2 + S/2 ms the other, with one round that something else disturbed. */
const measured: TimedCase = {
  ...{ engine: "an engine", batch: 64, patches: 16 },
  timed: timedCounts(16).flatMap((count) => [
    { side: "dense", count, milliseconds: [10, 9, 30] },
    { side: "patches", count, milliseconds: [2 + count / 2, 100, 1] },
  ]),
};

it("holds medians against dense and against all patches", () => {
  const rows = rowsOf(measured);
  expect(rows.map(({ dense }) => dense)).toEqual(Array(6).fill(10));
  expect(rows.map(({ own }) => own)).toEqual([2, 3, 4, 6, 8, 10]);
  expect(rows.map(({ share }) => share)).toEqual([0.2, 0.3, 0.4, 0.6, 0.8, 1]);
  expect(rows[2].overDense).toBe(2.5);
  // 0.6 / 0.575 = 1.043, 0.8 / 0.7875 = 1.016; 0.4 / 0.3625 = 1.10
  expect(rows.map(({ isAtAim: at }) => at)).toEqual([false, false, false, true, true, true]);
});

it("prints them, and says whether a quarter of the patches is fast enough", () => {
  const lines = tableOf([measured]).split("\n");
  expect(lines[4]).toBe(
    "| an engine |    64 |  4 of 16 |   10.000 |      4.000 |          2.50 |  0.400 | 0.362 |                no |",
  );
  expect(lines[9]).toBe("an engine, batch 64: 2.50 times as fast as dense with 4 patches; the aim of 2.5 is reached");
  const slower = measured.timed.map((one) => (one.side === "dense" ? { ...one, milliseconds: [9.9] } : one));
  expect(tableOf([{ ...measured, timed: slower }])).toContain("4 patches; the aim of 2.5 is not reached");
});
