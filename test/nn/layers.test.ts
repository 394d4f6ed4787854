import { describe, expect, it } from "vitest";
import { type ConvolutionSpec, convolutionShapes, slidingOf } from "../../src/nn/layers.ts";

describe("what a convolution's spec means", () => {
  it.each<[ConvolutionSpec, ReturnType<typeof slidingOf>, number[], number[]]>([
    // At stride 1 the size stays: 3 × 3 needs one zero on each side, 1 × 1 none.
    [{ channels: 5, kernel: 3 }, { stride: 1, padding: 1, behind: 0, groups: 1 }, [5, 4, 3, 3], [5, 7, 8]],
    [{ channels: 2, kernel: 1 }, { stride: 1, padding: 0, behind: 0, groups: 1 }, [2, 4, 1, 1], [2, 7, 8]],
    // At stride 2 it is halved and rounded up: 7 → 4, 8 → 4.
    [{ channels: 5, kernel: 3, stride: 2 }, { stride: 2, padding: 1, behind: 0, groups: 1 }, [5, 4, 3, 3], [5, 4, 4]],
    [{ channels: 6, kernel: 7, stride: 2 }, { stride: 2, padding: 3, behind: 0, groups: 1 }, [6, 4, 7, 7], [6, 4, 4]],
    // Depthwise: each of the 4 channels by a kernel of its own. Two channels for each input: the first pair sees input 0.
    [{ channels: 4, kernel: 3, groups: 4 }, { stride: 1, padding: 1, behind: 0, groups: 4 }, [4, 1, 3, 3], [4, 7, 8]],
    [{ channels: 8, kernel: 1, groups: 4 }, { stride: 1, padding: 0, behind: 0, groups: 4 }, [8, 1, 1, 1], [8, 7, 8]],
  ])("%o on 4 channels of 7 × 8", (spec, sliding, weight, output) => {
    expect(slidingOf(spec, 7)).toEqual(sliding);
    expect(convolutionShapes(spec, [4, 7, 8])).toEqual({ weight, convolved: output, output });
  });

  it("pooling is of whole windows", () => {
    const { convolved, output } = convolutionShapes({ channels: 5, kernel: 3, pool: 2 }, [4, 7, 8]);
    expect([convolved, output]).toEqual([
      [5, 7, 8],
      [5, 3, 4],
    ]);
  });

  // TensorFlow's rule: (ceil(size / stride) − 1) · stride + kernel − size zeros in all, the odd one behind.
  it.each([
    [{ kernel: 3, stride: 1 }, 8, { padding: 1, behind: 0 }, 8], // 7 + 3 − 8 = 2
    [{ kernel: 3, stride: 2 }, 8, { padding: 0, behind: 1 }, 4], // 6 + 3 − 8 = 1
    [{ kernel: 5, stride: 2 }, 8, { padding: 1, behind: 1 }, 4], // 6 + 5 − 8 = 3
    [{ kernel: 5, stride: 2 }, 7, { padding: 2, behind: 0 }, 4], // 6 + 5 − 7 = 4
    [{ kernel: 1, stride: 2 }, 8, { padding: 0, behind: 0 }, 4], // 6 + 1 − 8 < 0
  ])("padding that keeps the size, of %o on %d pixels", (spec, size, sliding, after) => {
    const same: ConvolutionSpec = { ...spec, channels: 2, padding: "same" };
    expect(slidingOf(same, size)).toEqual({ ...sliding, stride: spec.stride, groups: 1 });
    expect(convolutionShapes(same, [3, size, size]).output).toEqual([2, after, after]);
  });
});
