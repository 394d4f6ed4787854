/**
 * What is wrong with a stage's options beside what their schema says, as far as nothing has to be opened to know it: an
 * experiment asks this of all its stages before the first one trains for hours. The stage itself would find the same.
 */
import { existsSync } from "node:fs";
import { isDatasetName } from "../data/dataset-registry.ts";
import { datasetFor, namedOrFound } from "../data/open.ts";
import { refuseTwoValidations } from "../data/validation.ts";
import { type Fault, fault, PatchDropError } from "../errors.ts";
import { findModel, type Model } from "../models/registry.ts";
import type { StageOptions } from "../options/stage-options.ts";
import { checkRounds } from "./pretrain.ts";
import { officialName } from "./pretrained.ts";
import { checkPatience } from "./setting.ts";

/** The faults, each at its flag. */
export async function optionFaults(options: StageOptions): Promise<Fault[]> {
  const faults: Fault[] = [];
  for (const check of [checkModel, checkPretrained, checkHeldOut]) {
    try {
      await check(options);
    } catch (error) {
      if (!(error instanceof PatchDropError)) throw error;
      // Of a model that there is not, each check says the same.
      faults.push(...error.faults.filter(({ where }) => faults.every((said) => said.where !== where)));
    }
  }
  return faults;
}

/** Undefined where no option names it: then it is that of a checkpoint, which an earlier stage may make, or suits the data. */
function modelOf({ model, ...rest }: StageOptions): Model | undefined {
  return model === undefined ? undefined : findModel({ ...rest, model });
}

function checkModel(options: StageOptions): void {
  const model = modelOf(options);
  if (model !== undefined && "rounds" in options) checkRounds(options.rounds ?? 1, model.grid.patches);
}

function checkPretrained(options: StageOptions): void {
  if (!("pretrained" in options) || options.pretrained === undefined) return;
  const model = modelOf(options);
  if (options.pretrained === "auto" && model !== undefined) officialName(model);
  if (options.pretrained === "auto" || existsSync(options.pretrained)) return;
  throw fault("input", { where: "--pretrained", rule: "must be a file that is there", got: options.pretrained });
}

/** Whether there are images to choose by, where an option asks for them. */
async function checkHeldOut(options: StageOptions): Promise<void> {
  const { patience, val_fraction, data_dir: dataDir, download } = options;
  if (patience === undefined && val_fraction === 0) return;
  const model = modelOf(options);
  const preferred = model !== undefined && isDatasetName(model.dataset) ? model.dataset : undefined;
  const dataset = model === undefined ? options.dataset : datasetFor(model, options);
  const { reader } = await namedOrFound({ dataset, dataDir, preferred, download });
  const val = dataDir === undefined ? undefined : (await reader.list?.(dataDir))?.val;
  if (val !== undefined && val_fraction > 0) refuseTwoValidations(val_fraction);
  checkPatience(options, { val: val_fraction > 0 || val !== undefined ? true : undefined });
}
