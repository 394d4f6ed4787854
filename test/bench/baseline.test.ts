/** The check of measured ratios against those that were measured before. */
import { expect, it } from "vitest";
import { check, type Place, type Stored } from "../../bench/baseline.ts";
import { bestOf, type CaseResult, eagerBestOf, type Measured } from "../../bench/measure.ts";

const place: Place = { processor: "A", processors: 2, threads: 2, device: "cpu", unit: "step" };
const stored: Stored = {
  ...place,
  model: "R32_C10",
  stage: "pretrain",
  batch: 512,
  overReference: 8,
  overBest: 1.25,
  date: "2026-11-24",
  torch: "2.15.0",
};

const measured = (imagesPerSecond: number) => ({ imagesPerSecond }) as Measured;

/** Reference 100 images/s, PyTorch's best 640. */
function result(imagesPerSecond: number, batch = 512): CaseResult {
  const sides = {
    reference: measured(100),
    "best-fp32": measured(400),
    "best-bf16": measured(640),
    patchdrop: measured(imagesPerSecond),
  };
  return { stage: "pretrain", model: "R32_C10", batch, sides };
}

it("shows the ratios beside the stored ones", () => {
  expect(check([result(800)], place, [stored])).toBe(
    "R32_C10 pretrain 512: c/a 8.00, stored 8.00; c/b 1.25, stored 1.25\n",
  );
});

it("bears a tenth less, and not more, and names what fell", () => {
  expect(check([result(721)], place, [stored])).toContain("c/a 7.21, stored 8.00");
  expect(() => check([result(719)], place, [stored])).toThrow(
    /^bench\/baseline\.json: no ratio may fall by more than 10 %, got R32_C10 pretrain 512: c\/a 7\.19, stored 8\.00, R32_C10 pretrain 512: c\/b 1\.12, stored 1\.25; find what became slower/,
  );
});

it("says what it has nothing to compare with", () => {
  const nothing = "R32_C10 pretrain 512: nothing stored for this processor\n";
  expect(check([result(1)], { ...place, processor: "B" }, [stored])).toBe(nothing);
  expect(check([result(1)], { ...place, unit: "epoch" }, [stored])).toBe(nothing);
  expect(check([result(1, 1024)], place, [stored])).toBe(nothing.replace("512", "1024"));
});

it("takes the faster of PyTorch's two for its best, and fp32 where bf16 was left out", () => {
  const { "best-bf16": bf16, ...others } = result(800).sides;
  expect(bestOf({ ...others, "best-bf16": bf16! })).toBe(bf16);
  expect(bestOf({ ...others, "best-bf16": measured(399) })).toBe(others["best-fp32"]);
  expect(bestOf(others)).toBe(others["best-fp32"]);
  expect(check([{ ...result(800), sides: others }], place, [])).toBe(
    "R32_C10 pretrain 512: nothing stored for this processor\n",
  );
});

it("takes the compiled PyTorch for the best where it is the fastest, and alone then", () => {
  const { sides } = result(800);
  const compiled = measured(700);
  expect(bestOf({ ...sides, compiled })).toBe(compiled);
  expect(eagerBestOf({ ...sides, compiled })).toBe(sides["best-bf16"]);
  expect(bestOf({ ...sides, compiled: measured(639) })).toBe(sides["best-bf16"]);
});
