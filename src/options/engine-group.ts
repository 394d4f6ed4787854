/** The option that says what computes, for commands that use a run, and what goes with it. */
import { z } from "zod";

/** Of commands that use a run's classifiers. */
export const tta = z
  .boolean()
  .default(false)
  .describe(
    "test-time augmentation: average classifiers over six views of each image, mirrored and shifted by a pixel, for six times their work; not with --arch patches",
  );

export const engineGroup = {
  engine: z
    .enum(["libtorch", "onnx"])
    .default("libtorch")
    .describe("what computes: libtorch, or ONNX Runtime, which works without it"),
  tta,
};

interface Computing {
  readonly tta?: boolean | undefined;
  readonly engine: string;
  readonly precision: string;
  readonly device: string;
  readonly torch?: string | undefined;
}
type Refinement = [holds: (given: Computing) => boolean, otherwise: { path: string[]; message: string }];

export const onnxInFp32: Refinement = [
  ({ engine, precision }) => engine !== "onnx" || precision !== "bf16",
  { path: ["precision"], message: "must be fp32 with --engine onnx" },
];
export const onnxOnCpu: Refinement = [
  ({ engine, device }) => engine !== "onnx" || device === "cpu",
  { path: ["device"], message: "must be cpu with --engine onnx" },
];
export const onnxAsExported: Refinement = [
  ({ engine, tta }) => engine !== "onnx" || tta !== true,
  { path: ["tta"], message: "must be left out with --engine onnx: give it to patchdrop export" },
];
export const onnxAlone: Refinement = [
  ({ engine, torch }) => engine !== "onnx" || torch === undefined,
  { path: ["torch"], message: "must be left out with --engine onnx, which works without it" },
];
