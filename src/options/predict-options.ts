/** The options of `patchdrop predict`; what is absent is taken from the run. */
import { z } from "zod";
import { archiveGroup, archiveNames } from "./archive-group.ts";
import { plainChoiceGroup } from "./choice-group.ts";
import { runDataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { engineGroup, onnxAlone, onnxAsExported, onnxInFp32, onnxOnCpu } from "./engine-group.ts";
import { checkpoint, file, folder, whole } from "./option.ts";
import { pictureGroup } from "./picture-group.ts";
import { runFill } from "./policy-group.ts";
import { requestsNeedManifest, shardGroup, shardNeedsManifest } from "./shard-group.ts";

const { num_workers, max_image_bytes, bands, scale } = runDataGroup;

export const predictSchema = z
  .strictObject({
    load: checkpoint(
      "run folder, checkpoint, or patchdrop:NAME of `patchdrop models` to predict with; with --engine onnx, a folder of patchdrop export",
    ),
    ...engineGroup,
    out: file("file for the lines; standard output when absent; with --manifest, the folder of its shards").optional(),
    ...archiveGroup,
    ...shardGroup,
    format: z.enum(["jsonl", "csv"]).default("jsonl").describe("JSON Lines, or a table"),
    top: whole(1).default(5).describe("how many of the most probable classes to give per line"),
    resume: z.boolean().default(false).describe("continue the file of --out: images that it already has are skipped"),
    overlay: folder("folder for a PNG of each image with its dropped patches darkened").optional(),
    masked: folder("folder for a PNG of each image as the classifier saw it").optional(),
    ...pictureGroup,
    batch_size: whole(1)
      .default(64)
      .describe("images per batch; of the results, only the last digits of probabilities depend on it"),
    num_workers,
    max_image_bytes,
    bands,
    scale,
    ...plainChoiceGroup,
    fill: runFill,
    ...deviceGroup,
  })
  .refine(({ resume, out }) => !resume || out !== undefined, {
    path: ["resume"],
    message: "needs --out, the file to continue",
  })
  .refine(...shardNeedsManifest)
  .refine(...requestsNeedManifest)
  .refine(({ manifest, out }) => manifest === undefined || out !== undefined, {
    path: ["manifest"],
    message: "needs --out, the folder of its shards",
  })
  .superRefine((given, context) => {
    const alone = given.manifest === undefined ? archiveNames : (["resume", "overlay", "masked"] as const);
    const message = given.manifest === undefined ? "needs --manifest" : "must be left out with --manifest";
    for (const name of alone) if (given[name]) context.addIssue({ code: "custom", path: [name], message });
    if (given.manifest !== undefined && given.format !== "jsonl") {
      context.addIssue({ code: "custom", path: ["format"], message: "must be jsonl with --manifest" });
    }
  })
  .refine(({ composite, overlay, masked }) => composite === undefined || (overlay ?? masked) !== undefined, {
    path: ["composite"],
    message: "needs --overlay or --masked, the pictures that it is for",
  })
  .refine(...onnxInFp32)
  .refine(...onnxOnCpu)
  .refine(...onnxAsExported)
  .refine(...onnxAlone);

export type PredictOptions = z.infer<typeof predictSchema>;
