/** The four figures with a pencil. */
import { expect, it } from "vitest";
import { type Measured, savingsLines, savingsOf } from "../../src/acquire/savings.ts";

const measured: Measured = {
  pixels: { whole: 1000, low: 50, high: 150 },
  bytes: { whole: 2_000_000_000, read: 600_000_000, high: 500_000_000 },
  seconds: { used: 15, acquire: 10 },
  areaKm2: { whole: 100, chosen: 15 },
  tiles: { all: 4, read: 1 },
};

it("each compares with reading and buying all", () => {
  const savings = savingsOf(measured, { price_per_km2: 2, min_area_km2: 25, egress_per_gb: 0.5 });
  expect(savings).toEqual({
    pixels: { whole: 1000, used: 200, saved: 800, share: 0.8 },
    bytes: { whole: 2e9, used: 6e8, saved: 1.4e9, share: 0.7 },
    // A quarter of the bytes took 10 s: all would have taken 40.
    time: { whole: 40, used: 15, saved: 25, share: 0.625 },
    money: {
      // 200 + 1 against 25 km² at least, 50, and 0.3.
      ...{ whole: 201, used: 50.3, saved: 150.7, share: expect.closeTo(0.749751, 6) },
      order: { whole: 200, used: 50, saved: 150, share: 0.75 },
      egress: { whole: 1, used: 0.3, saved: 0.7, share: 0.7 },
    },
    why: null,
  });
  expect(savingsLines(savings)).toEqual([
    "pixels  200 of 1,000: 80.0 % saved",
    "bytes   600,000,000 of 2,000,000,000: 70.0 % saved",
    "time    15.0 s of 40.0 s: 62.5 % saved",
    "money   50.30 of 201.00: 75.0 % saved",
  ]);
});

it("says plainly that nothing is saved, or that it is unknown", () => {
  const all: Measured = {
    pixels: { whole: 1000, low: 60, high: 1000 },
    bytes: { whole: 1000, read: 1000, high: 1000 },
    seconds: { used: 12, acquire: 10 },
    areaKm2: undefined,
    tiles: { all: 1200, read: 1100 },
  };
  expect(savingsLines(savingsOf(all, { price_per_km2: 1 }))).toEqual([
    "pixels  1,060 of 1,000: nothing saved: 60 more than the whole",
    "bytes   1,000 of 1,000: nothing saved",
    "time    12.0 s of 10.0 s: nothing saved: 2.0 s more than the whole",
    "money   unknown: give --price_per_km2, for an image that says where on the Earth it lies, or --egress_per_gb",
    "why     1,100 of 1,200 tiles hold a patch that was read, and the low resolution came on top; looking and deciding took more time than reading less saved",
  ]);
});

it("a least area makes small orders as dear as large ones, and no order is free", () => {
  const money = (chosen: number) =>
    savingsOf({ ...measured, areaKm2: { whole: 20, chosen } }, { price_per_km2: 3, min_area_km2: 25 }).money;
  expect(money(1)).toMatchObject({ whole: 75, used: 75, saved: 0 });
  expect(money(0)).toMatchObject({ whole: 75, used: 0, saved: 75 });
  expect(savingsOf({ ...measured, bytes: { whole: 9, read: 5, high: 0 } }, {})).toMatchObject({
    time: null,
    money: null,
  });
});
