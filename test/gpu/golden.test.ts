/**
 * Each stage's steps on a GPU against PyTorch's on a CPU, in float32, with the tolerances that the CPU has too: losses to
 * 5·10⁻⁴ and, after an update, 0.05; masks, hits and rewards the same; gradients to a tenth of their norm.
 */
import { beforeAll } from "vitest";
import { goldenStages } from "../golden/stage-steps.ts";
import { describeOnGpu, testGpu } from "./gpu.ts";

describeOnGpu("golden steps", () => {
  beforeAll(() => {
    testGpu();
  });
  goldenStages("cuda");
});
