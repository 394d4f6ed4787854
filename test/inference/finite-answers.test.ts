/** Networks that answer all images with numbers but one: no class is named for it. */
import { expect, it } from "vitest";
import type { HeldBatch } from "../../src/inference/engine.ts";
import { finiteAnswers } from "../../src/inference/finite-answers.ts";

const answers = (probabilities: number[], logits: number[]): HeldBatch => ({
  probabilities: () => Float32Array.from(probabilities),
  logits: async () => Float32Array.from(logits), // as ONNX Runtime answers
  free: () => {},
});
const mask = Uint8Array.of(1, 1);

it("numbers are passed on as they are", async () => {
  const batch = finiteAnswers(answers([0, 1], [-3.5, 3e38]), "checkpoint 1234");
  expect(await batch.probabilities()).toEqual(Float32Array.of(0, 1));
  expect(await batch.logits(mask)).toEqual(Float32Array.of(-3.5, 3e38));
});

it("what is none is refused, whether it is there at once or promised", async () => {
  const batch = finiteAnswers(answers([0.5, Number.NaN], [1, 2, Number.POSITIVE_INFINITY]), "checkpoint 1234");
  const next = "its weights are too large for one of these images: use an earlier or another checkpoint";
  expect(() => batch.probabilities()).toThrow(
    expect.objectContaining({
      kind: "notFinite",
      message: `checkpoint 1234: must answer with finite numbers, got NaN as probability 1 of 2; ${next}`,
    }),
  );
  await expect(batch.logits(mask)).rejects.toMatchObject({
    kind: "notFinite",
    message: `checkpoint 1234: must answer with finite numbers, got Infinity as logit 2 of 3; ${next}`,
  });
});
