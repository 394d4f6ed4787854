/**
 * An experiment file: stages in order, each with its options; a checkpoint option may name an earlier stage of the file.
 *
 *     common: { dataset: synthetic, seed: 1 }
 *     stages:
 *       hr: { stage: classifier_training, max_epochs: 6 }
 *       policy: { stage: pretrain, ckpt_hr_cl: hr, max_epochs: 10 }
 *     gallery: policy
 */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { parse } from "yaml";
import { z } from "zod";
import { type Fault, fault, PatchDropError } from "../errors.ts";
import {
  faultsOf,
  parseOptions,
  type StageName,
  type StageOptions,
  schemas,
  stageNames,
} from "../options/stage-options.ts";

export interface ExperimentStage {
  readonly name: string;
  readonly stage: StageName;
  readonly options: StageOptions;
}

export interface Experiment {
  readonly title: string;
  readonly summary: string;
  readonly stages: readonly ExperimentStage[];
  /** The stage whose images the page shows: the last that has a policy, unless the file says. */
  readonly gallery: string | undefined;
}

const name = z.string().regex(/^[a-z0-9][\w.-]*$/i, "must be a plain name, since it becomes a folder");

const fileSchema = z.strictObject({
  title: z.string().default("PatchDrop"),
  summary: z.string().default(""),
  common: z.record(z.string(), z.unknown()).default({}),
  stages: z.record(name, z.looseObject({ stage: z.enum(stageNames) })),
  gallery: z.string().optional(),
});

const checkpointOptions = ["load", "ckpt_hr_cl", "ckpt_lr_cl"] as const;

/**
 * Reads an experiment file. Run folders lie under `folder`, by the stages' names; `overrides` go over `common`.
 * @throws kind "usage" with all faults of the file together, "input" when it cannot be read.
 */
export function readExperiment(file: string, folder: string, overrides: Record<string, unknown> = {}): Experiment {
  const content = parseYaml(file);
  const checked = fileSchema.safeParse(content);
  if (!checked.success) {
    throw fault("usage", faultsOf(checked.error, content, `${file}: `, "must be a key of an experiment file"));
  }
  const { title, summary, common, stages, gallery } = checked.data;
  const faults: Fault[] = [];
  const read: ExperimentStage[] = [];
  const earlier: string[] = [];
  for (const [stageName, { stage, ...own }] of Object.entries(stages)) {
    const fitting = Object.fromEntries(
      Object.entries({ ...common, ...overrides }).filter(([key]) => key in schemas[stage].shape),
    );
    const given: Record<string, unknown> = { ...fitting, ...own, cv_dir: path.join(folder, stageName) };
    for (const key of checkpointOptions) {
      const named = given[key];
      if (typeof named !== "string") continue;
      if (earlier.includes(named)) given[key] = path.join(folder, named);
      else if (!existsSync(named)) {
        const rule = `must be an earlier stage (${earlier.join(", ")}) or a folder that exists`;
        faults.push({ where: `${file}: stages.${stageName}.${key}`, rule, got: named });
      }
    }
    earlier.push(stageName);
    try {
      read.push({ name: stageName, stage, options: parseOptions(stage, given, `${file}: stages.${stageName}.`) });
    } catch (error) {
      if (!(error instanceof PatchDropError)) throw error;
      faults.push(
        ...error.message.split("\n").map((line) => ({
          where: line.split(": ").slice(0, 2).join(": "),
          rule: line.split(": ").slice(2).join(": "),
        })),
      );
    }
  }
  if (faults.length > 0) throw fault("usage", faults);
  return { title, summary, stages: read, gallery };
}

function parseYaml(file: string): unknown {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw fault(
      "input",
      {
        where: file,
        rule: "must be a file that can be read",
        got: (cause as NodeJS.ErrnoException).code,
        next: "see configs/ for examples",
      },
      cause,
    );
  }
  try {
    return parse(text, { maxAliasCount: 100 });
  } catch (cause) {
    throw fault("usage", { where: file, rule: "must be YAML", got: (cause as Error).message.split("\n")[0] }, cause);
  }
}
