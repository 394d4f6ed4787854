import { beforeAll, expect, it } from "vitest";
import { findFixedMasks } from "../../src/evaluation/find-fixed-masks.ts";
import { maskBits } from "../../src/method/grid.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { type Reporter, silentReporter } from "../../src/utils/reporter.ts";
import { madeRun, right, wrong } from "./made-run.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const hasAll = (mask: Uint8Array, ...some: number[]) => some.every((k) => mask[k] === 1);

it("takes a guess where adding one patch after the other goes astray", async () => {
  // The first patch by itself leads a greedy search astray; the middle columns tell all, and only as a whole.
  const answer = (truth: { label: number; hidden: number }, mask: Uint8Array) => {
    if (hasAll(mask, 1, 2, 5, 6, 9, 10, 13, 14)) return right(truth, 0.9);
    return mask[0] === 1 ? right(truth, 0.6) : wrong(truth, 0.6);
  };
  const masks = await findFixedMasks(madeRun(2, answer, undefined, 200));
  expect(masks).toHaveLength(17);
  expect(maskBits(masks[0])).toBe("0000000000000000");
  expect(maskBits(masks[1])).toBe("1000000000000000");
  expect(maskBits(masks[8])).toBe("0110011001100110");
  expect(maskBits(masks[16])).toBe("1111111111111111");
});

it("keeps what the search found where no guess is as good", async () => {
  const corners = [0, 3, 12, 15];
  const answer = (truth: { label: number; hidden: number }, mask: Uint8Array) =>
    right(truth, 0.3 + 0.15 * corners.filter((k) => mask[k] === 1).length);
  const run = madeRun(2, answer, undefined, 200);
  const labels: string[] = [];
  const reporter: Reporter = {
    ...silentReporter,
    progress(label) {
      labels.push(label);
      return { update() {}, stop() {} };
    },
  };
  const masks = await findFixedMasks({ ...run, reporter });
  expect(maskBits(masks[4])).toBe("1001000000001001");
  expect(labels[0]).toBe("looking for the best fixed mask, 1 of 16 patches");
  expect(labels).toContain("looking for the best fixed mask, 15 of 16 patches");
});
