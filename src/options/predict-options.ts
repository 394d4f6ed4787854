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
    load: checkpoint("run folder or checkpoint to predict with; with --engine onnx, a folder of patchdrop export"),
    engine: z
      .enum(["libtorch", "onnx"])
      .default("libtorch")
      .describe("what computes: libtorch, or ONNX Runtime, which works without it"),
    out: file("file for the lines; standard output when absent").optional(),
    format: z.enum(["jsonl", "csv"]).default("jsonl").describe("JSON Lines, or a table"),
    top: whole(1).default(5).describe("how many of the most probable classes to give per line"),
    resume: z.boolean().default(false).describe("continue the file of --out: images that it already has are skipped"),
    overlay: folder("folder for a PNG of each image with its dropped patches darkened").optional(),
    masked: folder("folder for a PNG of each image as the classifier saw it").optional(),
    batch_size: whole(1).default(64).describe("images per batch; results do not depend on it"),
    num_workers,
    ...plainChoiceGroup,
    fill: runFill,
    ...deviceGroup,
  })
  .refine(({ resume, out }) => !resume || out !== undefined, {
    path: ["resume"],
    message: "needs --out, the file to continue",
  })
  .refine(({ engine, precision }) => engine !== "onnx" || precision !== "bf16", {
    path: ["precision"],
    message: "must be fp32 with --engine onnx",
  })
  .refine(({ engine, device }) => engine !== "onnx" || device === "cpu", {
    path: ["device"],
    message: "must be cpu with --engine onnx",
  })
  .refine(({ engine, torch }) => engine !== "onnx" || torch === undefined, {
    path: ["torch"],
    message: "must be left out with --engine onnx, which works without it",
  });

export type PredictOptions = z.infer<typeof predictSchema>;
