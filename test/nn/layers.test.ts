import { describe, expect, it } from "vitest";
import { convolutionShapes, slidingOf } from "../../src/nn/layers.ts";

describe("what a convolution's spec means", () => {
  it.each([
    // At stride 1 the size stays: 3 × 3 needs one zero on each side, 1 × 1 none.
    [{ channels: 5, kernel: 3 }, { stride: 1, padding: 1 }, [5, 4, 3, 3], [5, 7, 8]],
    [{ channels: 2, kernel: 1 }, { stride: 1, padding: 0 }, [2, 4, 1, 1], [2, 7, 8]],
    // At stride 2 it is halved and rounded up: 7 → 4, 8 → 4.
    [{ channels: 5, kernel: 3, stride: 2 }, { stride: 2, padding: 1 }, [5, 4, 3, 3], [5, 4, 4]],
    [{ channels: 6, kernel: 7, stride: 2 }, { stride: 2, padding: 3 }, [6, 4, 7, 7], [6, 4, 4]],
  ])("%o on 4 channels of 7 × 8", (spec, sliding, weight, output) => {
    expect(slidingOf(spec)).toEqual(sliding);
    expect(convolutionShapes(spec, [4, 7, 8])).toEqual({ weight, output });
  });
});
