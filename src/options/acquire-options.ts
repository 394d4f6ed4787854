/** The options of `patchdrop acquire`. */
import { z } from "zod";
import { archiveGroup, archiveNames } from "./archive-group.ts";
import { plainChoiceGroup } from "./choice-group.ts";
import { bands, maxImageBytes, scale } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { engineGroup, onnxAlone, onnxAsExported, onnxInFp32, onnxOnCpu } from "./engine-group.ts";
import { checkpoint, folder, text, whole } from "./option.ts";
import { parseWith } from "./parse.ts";
import { runFill } from "./policy-group.ts";
import { predictSchema } from "./predict-options.ts";
import { requestsNeedManifest, shardGroup, shardNeedsManifest } from "./shard-group.ts";

const { top, batch_size } = predictSchema.shape;
const price = z.number().min(0).optional();
const positive = z.number().positive();
/** Of a scene; one of them at most. */
export const budgetNames = ["budget_bytes", "budget_seconds", "budget_money"] as const;

/** What is said of a file that with --plan does not exist yet. */
const ofSharpFile = [
  ...(["free_patches", "whole_if_cheaper", "budget_bytes", "budget_seconds", "egress_per_gb"] as const),
  ...(["bands", "scale", "manifest"] as const),
  ...archiveNames,
] as const;

export const acquireSchema = z
  .strictObject({
    load: checkpoint(
      "run folder, checkpoint, or patchdrop:NAME of `patchdrop models` to use; with --engine onnx, a folder of patchdrop export",
    ),
    ...engineGroup,
    out: folder("folder for the results; must not exist yet, unless it is that of the shards of --manifest"),
    ...archiveGroup,
    ...shardGroup,
    bands: bands
      .optional()
      .describe(
        "the bands that the run has learned from, by number or name (default: as the run names them; of pictures 1,2,3)",
      ),
    scale: scale.optional().describe("values that become black and white (default for bytes: 0,255)"),
    low: text(
      "image",
      "look at the low resolution in this GeoTIFF instead: a path, an address or, of a STAC item, the key, role or band of an asset",
    ).optional(),
    low_bands: bands.optional().describe("as --bands, for --low"),
    low_scale: scale.optional().describe("as --scale, for --low"),
    plan: z
      .boolean()
      .default(false)
      .describe("without IMAGE: choose cells on the ground by --low alone, for an image that does not exist yet"),
    allow_full_file: z.boolean().default(false).describe("read the whole file if the server can't send parts of it"),
    max_image_bytes: maxImageBytes,
    max_pixels: whole(1).default(2e9).describe("refuse a scene of more pixels"),
    max_output_bytes: whole(1).default(1e10).describe("stop where more than this would be written"),
    max_file_bytes: whole(1).default(1e10).describe("with --allow_full_file: refuse a larger file"),
    free_patches: z
      .boolean()
      .default(false)
      .describe("use the patches, too, that lie in tiles which were read for others: they cost no bytes"),
    whole_if_cheaper: z
      .boolean()
      .default(false)
      .describe(
        "look at the whole scene first, and read all of it where looking and the patches come to as many bytes",
      ),
    budget_bytes: whole(1)
      .optional()
      .describe("read at most so many bytes of a scene: the patches of most value for them, of those that are wanted"),
    budget_seconds: positive
      .optional()
      .describe("look and read for about so long, by the rate and the answers' delay so far: an estimate"),
    budget_money: positive
      .optional()
      .describe("spend at most so much on a scene, by --egress_per_gb and --price_per_km2"),
    price_per_km2: price.describe("price of a square kilometre at full resolution"),
    min_area_km2: price.describe("smallest area that can be ordered, in square kilometres"),
    egress_per_gb: price.describe("price of 10^9 bytes from the server"),
    top,
    batch_size: batch_size.describe(
      "windows per batch; of the results, only the last digits of probabilities depend on it",
    ),
    ...plainChoiceGroup,
    fill: runFill,
    ...deviceGroup,
  })
  .refine(...onnxInFp32)
  .refine(...onnxOnCpu)
  .refine(...onnxAsExported)
  .refine(...onnxAlone)
  .refine(...shardNeedsManifest)
  .refine(...requestsNeedManifest)
  .refine(({ min_area_km2: least, price_per_km2: price }) => least === undefined || price !== undefined, {
    path: ["min_area_km2"],
    message: "needs --price_per_km2, the price of what is ordered",
  })
  .superRefine((options, context) => {
    const given = (["budget", ...budgetNames] as const).filter((name) => options[name] !== undefined);
    if (given.length <= 1) return;
    const others = given.slice(1).map((name) => `--${name}`);
    context.addIssue({
      code: "custom",
      path: [given[0]],
      message: `must be the only budget: leave it or ${others.join(", ")} out`,
    });
  })
  .refine(
    ({ budget_money, price_per_km2, egress_per_gb }) =>
      budget_money === undefined || (price_per_km2 ?? egress_per_gb) !== undefined,
    {
      path: ["budget_money"],
      message: "needs --egress_per_gb or --price_per_km2, the prices that it is spent by",
    },
  )
  .superRefine(({ low, plan, ...given }, { addIssue }) => {
    const refuse = (names: readonly (keyof typeof given | "plan")[], message: string) => {
      for (const name of names)
        addIssue({ code: "custom", path: [name], message, input: (given as Record<string, unknown>)[name] });
    };
    const isGiven = (name: keyof typeof given) => given[name] !== undefined && given[name] !== false;
    if (low === undefined)
      refuse((["low_bands", "low_scale"] as const).filter(isGiven), "needs --low, the image that it is for");
    if (!plan) return;
    if (low === undefined) refuse(["plan"], "needs --low, the image that is looked at");
    refuse(ofSharpFile.filter(isGiven), "must be left out with --plan: there is no such file yet");
  });

/** Options of `patchdrop acquire` that were checked. */
export type AcquireOptions = z.infer<typeof acquireSchema>;

/** Checks the flags of `patchdrop acquire`; `load` and `out` must be among them. @throws usage, all faults at once */
export function parseAcquireOptions(given: Record<string, unknown>): AcquireOptions {
  return parseWith(acquireSchema, given, "acquire");
}
