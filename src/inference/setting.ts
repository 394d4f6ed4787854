import type { Checkpoint } from "../checkpoints/checkpoint.ts";
import { openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import type { DataSplits } from "../data/dataset.ts";
import { openDataFor } from "../data/open.ts";
import { fault } from "../errors.ts";
import { Normalizer } from "../method/images.ts";
import { findModel, type Model, type ModelOptions } from "../models/registry.ts";
import { choosePrecision, type Precision } from "../nn/precision.ts";
import type { StageOptions } from "../options/stage-options.ts";
import type { CudaDevice } from "../tensor/cuda.ts";
import type { Device } from "../tensor/device.ts";
import { startLibtorch } from "../tensor/start.ts";
import type { Reporter } from "../utils/reporter.ts";
import { version } from "../utils/version.ts";

export interface Setting {
  readonly model: Model;
  readonly data: DataSplits;
  readonly classes: number;
  readonly device: Device;
  /** The GPU's streams, when the device is one. */
  readonly cuda: CudaDevice | undefined;
  readonly precision: Precision;
  readonly normalizer: Normalizer;
  readonly reporter: Reporter;
  readonly versions: Record<string, string>;
}

type SettingOptions = Pick<
  StageOptions,
  | "model"
  | "variant"
  | "img_size"
  | "lr_size"
  | "patch_size"
  | "data_dir"
  | "dataset"
  | "download"
  | "skip_bad"
  | "num_workers"
  | "seed"
  | "device"
  | "precision"
  | "threads"
  | "torch"
>;

/** Opens libtorch and the data set. @throws kinds "input" and "usage", see docs. */
export async function prepare(options: SettingOptions, reporter: Reporter): Promise<Setting> {
  const model = findModel(options);
  const device = options.device as Device;
  const torch = startLibtorch(options);
  const data = await openDataFor(model, options, reporter.note);
  return {
    model,
    data,
    classes: data.train.classes.length,
    device,
    cuda: torch.cuda,
    precision: choosePrecision(options.precision, device),
    normalizer: new Normalizer(data.train.normalization, device),
    reporter,
    versions: {
      patchdrop: version(),
      node: process.version,
      libtorch: torch.version,
      threads: String(torch.threads),
    },
  };
}

/** The checkpoint that a flag names. @throws kind "input" when it is not of `model`, or none. */
export function checkpointOf(flag: string, path: string, model: Model): Checkpoint {
  const checkpoint = openCheckpoint(path);
  const { options } = checkpoint.config;
  if (options.model === undefined) return checkpoint;
  const own = findModel(options as unknown as ModelOptions);
  const wanted = described(model, flag);
  const got = described(own, flag);
  if (got === wanted) return checkpoint;
  const next = "give the same --model, --variant and sizes";
  throw fault("input", { where: `${flag} ${path}`, rule: `must be of model ${wanted}`, got, next });
}

/** What must agree for a checkpoint to fit. A high-resolution classifier fits any low resolution. */
function described({ name, variant, imageSize, lowSize }: Model, flag: string): string {
  const low = flag === "--ckpt_hr_cl" ? "" : `, low resolution ${lowSize}`;
  return `${name} ${variant} at ${imageSize} pixels${low}`;
}
