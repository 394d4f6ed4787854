/** The options of `patchdrop predict`; what is absent is taken from the run. */
import { z } from "zod";
import { plainChoiceGroup } from "./choice-group.ts";
import { dataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { checkpoint, file, folder, whole } from "./option.ts";
import { runFill } from "./policy-group.ts";

const { num_workers } = dataGroup;

export const predictSchema = z
  .strictObject({
    load: checkpoint("run folder or checkpoint that predicts; with --engine onnx, a folder of export"),
    engine: z
      .enum(["libtorch", "onnx"])
      .default("libtorch")
      .describe("what computes: libtorch, or ONNX Runtime, which needs none"),
    out: file("file for the lines; standard output when absent").optional(),
    format: z.enum(["jsonl", "csv"]).default("jsonl").describe("JSON Lines, or a table"),
    top: whole(1).default(5).describe("so many of the likeliest classes a line"),
    resume: z.boolean().default(false).describe("go on with the file of --out: images that it has are passed over"),
    overlay: folder("folder for a PNG of each image, dropped patches darkened").optional(),
    masked: folder("folder for a PNG of each image as the classifier saw it").optional(),
    batch_size: whole(1).default(64).describe("images at a time; results do not depend on it"),
    num_workers,
    ...plainChoiceGroup,
    fill: runFill,
    ...deviceGroup,
  })
  .refine(({ resume, out }) => !resume || out !== undefined, {
    path: ["resume"],
    message: "must go with --out, the file to go on with",
  })
  .refine(({ engine, precision }) => engine !== "onnx" || precision !== "bf16", {
    path: ["precision"],
    message: "must be fp32 with --engine onnx",
  })
  .refine(({ engine, device }) => engine !== "onnx" || device === "cpu", {
    path: ["device"],
    message: "must be cpu with --engine onnx",
  });

export type PredictOptions = z.infer<typeof predictSchema>;
