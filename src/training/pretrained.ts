/** `--pretrained`: a classifier that starts from torchvision's ImageNet weights. */
import { join } from "node:path";
import { networkOf, openCheckpoint } from "../checkpoints/open-checkpoint.ts";
import { fault, PatchDropError, within } from "../errors.ts";
import type { StateDict } from "../formats/safetensors.ts";
import type { Learner } from "../models/networks.ts";
import type { Model, PretrainedName } from "../models/registry.ts";
import { cacheFolder } from "../utils/cache-folder.ts";
import { downloadFile } from "../utils/download.ts";
import type { Setting } from "./setting.ts";

/** torchvision's files (IMAGENET1K_V1); the digits are the beginning of a file's SHA-256. */
const files: Record<PretrainedName, `${string}-${string}.pth`> = {
  resnet34: "resnet34-b627a593.pth",
  resnet50: "resnet50-0676ba61.pth",
  resnet101: "resnet101-63fe2227.pth",
};
const address = "https://download.pytorch.org/models";
const head = ["fc.weight", "fc.bias"];

/**
 * Replaces a fresh classifier's weights by those of `asked`: a file, or "auto" for the official one. The last layer stays
 * fresh where the file has another number of classes. Absent: says that training starts from random weights.
 * @throws kind "usage" where the model is not torchvision's, "input" where the file does not fit
 */
export async function startPretrained(learner: Learner, asked: string | undefined, setting: Setting): Promise<void> {
  const { model, reporter } = setting;
  if (asked === undefined) {
    if (model.pretrained) reporter.note("starting from random weights; --pretrained auto would use torchvision's");
    return;
  }
  const path = asked === "auto" ? await official(model, reporter.note) : asked;
  const checkpoint = openCheckpoint(path);
  const found = networkOf(checkpoint, "resnet_hr");
  if (found === undefined) {
    const got = [...checkpoint.networks.keys()].join(", ");
    throw fault("input", { where: `--pretrained ${path}`, rule: "must hold a classifier", got });
  }
  const fresh = learner.parameters.stateDict();
  const { state, replaced } = withHead(found, fresh);
  learner.parameters.load(state, `--pretrained ${path}`);
  const classes = replaced ? `, with a new last layer for ${setting.classes} classes` : "";
  reporter.note(`starting from ${path}${classes}`);
}

/** The last layer of `fresh` where that of `found` has another shape. */
function withHead(found: StateDict, fresh: StateDict): { state: StateDict; replaced: boolean } {
  const shape = (state: StateDict) => head.map((name) => String(state.get(name)?.shape)).join();
  const replaced = fresh.has(head[0]) && shape(found) !== shape(fresh);
  const own = replaced ? head.map((name) => [name, fresh.get(name)!] as const) : [];
  return { state: new Map([...found, ...own]), replaced };
}

/** Path of the official file, downloaded once per user. */
async function official({ name, pretrained }: Model, note: (text: string) => void): Promise<string> {
  if (pretrained === undefined) {
    const next = "give a file, or leave it out";
    throw fault("usage", {
      where: "--pretrained auto",
      rule: "works only for models whose classifier is one of torchvision's",
      got: name,
      next,
    });
  }
  const file = files[pretrained];
  const path = join(cacheFolder(), "pretrained", file);
  const url = `${address}/${file}`;
  note(`using ${path}, fetched from ${url} if it is not there`);
  try {
    await downloadFile({ url, path, sha256: /-([0-9a-f]+)\.pth$/.exec(file)![1] });
  } catch (error) {
    if (!(error instanceof PatchDropError)) throw error;
    const next = `get ${url} elsewhere and put it at ${path}, or give a file`;
    throw within({ where: "--pretrained auto", rule: `needs ${file}`, next }, error);
  }
  return path;
}
