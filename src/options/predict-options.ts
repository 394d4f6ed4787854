/** The options of `patchdrop predict`; what is absent is taken from the run. */
import { z } from "zod";
import { evalSchema } from "./eval-options.ts";
import { plainSelectionShape } from "./selection-options.ts";

const { num_workers, fill, device, precision, threads, torch } = evalSchema.shape;
const count = z.number().int().min(1);

export const predictSchema = z
  .strictObject({
    load: z
      .string()
      .describe("run folder or checkpoint that predicts; with --engine onnx, a folder of export (required)"),
    engine: z
      .enum(["libtorch", "onnx"])
      .default("libtorch")
      .describe("what computes: libtorch, or ONNX Runtime, which needs none"),
    out: z.string().optional().describe("file for the lines; standard output when absent"),
    format: z.enum(["jsonl", "csv"]).default("jsonl").describe("JSON Lines, or a table"),
    top: count.default(5).describe("so many of the likeliest classes a line"),
    resume: z.boolean().default(false).describe("go on with the file of --out: images that it has are passed over"),
    overlay: z.string().optional().describe("folder for a PNG of each image, dropped patches darkened"),
    masked: z.string().optional().describe("folder for a PNG of each image as the classifier saw it"),
    batch_size: count.default(64).describe("images at a time; results do not depend on it"),
    num_workers,
    ...plainSelectionShape,
    fill,
    device,
    precision,
    threads,
    torch,
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
