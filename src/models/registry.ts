/**
 * The models that `--model` names: data set, sizes, and the two networks, in the form of the authors' first public version
 * (2019) or of their second (2020). A new model is one entry here.
 */
import { fault } from "../errors.ts";
import { type Arch, seesMask } from "../method/arch.ts";
import { type Grid, type GridSize, makeGrid, type PatchSize, sidesOf } from "../method/grid.ts";
import { roundChannels } from "../method/rounds.ts";
import type { Network } from "../nn/layers.ts";
import { cifarResNet } from "./cifar-resnet.ts";
import { efficientNetLite0 } from "./efficientnet-lite.ts";
import type { Head } from "./head.ts";
import { type PatchNetSizes, patchNet } from "./patch-net.ts";
import { policyNames, resNet, torchvisionNames, wideCifarNames } from "./resnet.ts";
import { speedrun } from "./speedrun.ts";

export const variants = ["2019", "2020"] as const;
export type Variant = (typeof variants)[number];

/**
 * What the policy's outputs are made of: the mean of its last map, which forgets where things are (the paper's), or that and
 * what the map has at each patch.
 */
export type PolicyHead = "mean" | "map";

/** Classifiers that may take the place of a model's own. */
const archs: Record<Arch, (outputs: number, sizes: PatchNetSizes) => Network> = { speedrun, patches: patchNet };

/** What the model's flags say; sizes are sides in pixels. */
export interface ModelOptions {
  model: string;
  variant?: Variant | undefined;
  /** The classifier in place of the model's own. */
  arch?: Arch | undefined;
  img_size?: number | undefined;
  lr_size?: number | undefined;
  patch_size?: PatchSize | undefined;
  /** In place of the patches' size, their number. */
  grid?: GridSize | undefined;
  rounds?: number | undefined;
  policy_head?: PolicyHead | undefined;
  /** Bands of an image; three when absent. */
  channels?: number | undefined;
}

/** A model with its sizes: the networks, and how an image is cut into patches. */
export interface Model {
  readonly name: string;
  readonly variant: Variant;
  readonly arch: Arch | undefined;
  /** What it is, in one line. */
  readonly description: string;
  /** Side of the high-resolution image, in pixels. */
  readonly imageSize: number;
  /** Side of the low-resolution image. */
  readonly lowSize: number;
  /** Side at which policy and LR classifier see it: resized back to `imageSize` (2019), or as it is (2020). */
  readonly lowInput: number;
  readonly grid: Grid;
  /** The data set that it is made for. */
  readonly dataset: ModelDataset;
  /** What becomes of image files (data/transforms.ts). */
  readonly transform: "cifar" | "imagenet" | "fmow";
  /** The official weights for ImageNet that fit the classifier. */
  readonly pretrained: PretrainedName | undefined;
  /** C, bands of an image. */
  readonly channels: number;
  /** Logits [B, classes] of [B, C, H, W], or, where it sees masks, of [B, C + 1, H, W]. */
  classifier(classes: number): Network;
  /** Whether the classifier's last channel is a plane of ones where patches are there. */
  readonly seesMask: boolean;
  /** The same of the low resolution: the classifier, unless that one sees masks. */
  lowClassifier(classes: number): Network;
  /** In how many rounds the policy decides, at most. */
  readonly rounds: number;
  readonly policyHead: PolicyHead;
  /** Logits [B, P] of what the policy sees. */
  readonly policy: Network;
  /** What it sees: the low resolution; where it decides in rounds, a {@link roundView}. */
  readonly policyInput: { readonly size: number; readonly channels: number };
}

export type ModelDataset = "cifar10" | "cifar100" | "fmow" | "imagenet" | "synthetic";
export type PretrainedName = "resnet34" | "resnet50" | "resnet101" | "efficientnet-lite0";

/** The networks of one form of a model. */
interface Form {
  readonly description: string;
  readonly pretrained?: PretrainedName;
  classifier(classes: number): Network;
  policy(patches: number, keepsMap: Head["keepsMap"]): Network;
  readonly imageSize: number;
}

interface Entry {
  readonly name: string;
  readonly dataset: ModelDataset;
  readonly forms: Partial<Record<Variant, Form>>;
}

/** ResNets for 32 × 32 images with `blocks` blocks a segment; the policy has one. */
function narrow(description: string, blocks: number): Form {
  return {
    description: `${description}; policy with 1/1/1 blocks`,
    imageSize: 32,
    classifier: (outputs) => cifarResNet({ blocks, outputs }),
    policy: narrowPolicy(false),
  };
}

/** 2019's policy for 32 × 32 images. */
function narrowPolicy(halved: boolean): Form["policy"] {
  return (outputs, keepsMap) =>
    cifarResNet({ blocks: 1, outputs, prefix: "features.", head: "logit", halved, keepsMap });
}

const wide: Form = {
  description: "wide ResNet-34 for 32 × 32 images; policy with 1/1/1/1 blocks, as wide",
  imageSize: 32,
  classifier: (outputs) =>
    resNet({ block: "basic", blocks: [3, 4, 6, 3], stem: "small", outputs, names: wideCifarNames }),
  policy: (outputs, keepsMap) =>
    resNet({ block: "basic", blocks: [1, 1, 1, 1], stem: "small", outputs, names: wideCifarNames, keepsMap }),
};

const blocksOf = { resnet34: [3, 4, 6, 3], resnet50: [3, 4, 6, 3], resnet101: [3, 4, 23, 3] } as const;

/** A network of torchvision; the policy is 2019's, or in 2020 a ResNet-18. */
function torchvision(name: keyof typeof blocksOf, variant: Variant, imageSize: number): Form {
  const block = name === "resnet34" ? "basic" : "bottleneck";
  const own = variant === "2019" ? "1/1/1/1 blocks on halved images" : "2/2/2/2 blocks";
  return {
    description: `${name.replace("resnet", "ResNet-")} (${block} blocks); policy with ${own}`,
    pretrained: name,
    imageSize,
    classifier: (outputs) => resNet({ block, blocks: blocksOf[name], stem: "large", outputs, names: torchvisionNames }),
    policy: (outputs, keepsMap) =>
      variant === "2019"
        ? largePolicy(outputs, keepsMap)
        : resNet({ block: "basic", blocks: [2, 2, 2, 2], stem: "large", outputs, names: torchvisionNames, keepsMap }),
  };
}

/** 2019's policy for larger images. */
function largePolicy(outputs: number, keepsMap: Head["keepsMap"]): Network {
  const form = { block: "basic", blocks: [1, 1, 1, 1], stem: "large", names: policyNames, halved: true } as const;
  return resNet({ ...form, outputs, keepsMap });
}

/** A network that two cores train, for larger images; of its map a narrow policy keeps more than large images' own would. */
const lite: Form = {
  description: "EfficientNet-Lite0; policy with 1/1/1 blocks on halved images",
  pretrained: "efficientnet-lite0",
  imageSize: 112,
  classifier: efficientNetLite0,
  policy: narrowPolicy(true),
};

const scenes = narrow("ResNet-8 for the synthetic scenes, to try everything in minutes", 1);

function imageNet(name: string, network: keyof typeof blocksOf): Entry {
  const forms = { 2019: torchvision(network, "2019", 224), 2020: torchvision(network, "2020", 224) };
  return { name, dataset: "imagenet", forms };
}

const entries: readonly Entry[] = [
  { name: "R32_C10", dataset: "cifar10", forms: { 2019: narrow("ResNet-32 for CIFAR-10", 5), 2020: wide } },
  { name: "R32_C100", dataset: "cifar100", forms: { 2019: narrow("ResNet-32 for CIFAR-100", 5), 2020: wide } },
  {
    name: "R34_fMoW",
    dataset: "fmow",
    forms: { 2019: torchvision("resnet34", "2019", 112), 2020: torchvision("resnet34", "2020", 224) },
  },
  { name: "EffLite0", dataset: "fmow", forms: { 2019: lite } },
  imageNet("R34_ImgNet", "resnet34"),
  imageNet("R50_ImgNet", "resnet50"),
  imageNet("R101_ImgNet", "resnet101"),
  { name: "R8_Scenes", dataset: "synthetic", forms: { 2019: scenes, 2020: scenes } },
];

/** What `--model` takes. */
export const modelNames: readonly string[] = entries.map(({ name }) => name);

/** Every model in every form that it has, at its own sizes. */
export function allModels(): Model[] {
  return entries.flatMap(({ name: model, forms }) =>
    variants.filter((variant) => forms[variant]).map((variant) => findModel({ model, variant })),
  );
}

/** Patches and low resolution have a quarter of the image's side unless flags say otherwise. */
const quarter = 4;
/** Of an image's side: a batch is then some gigabytes. */
const mostPixels = 4096;

/** @throws kind "usage" for a name or form that there is not, or sizes that do not go together. */
export function findModel({
  model: name,
  variant = "2019",
  arch,
  rounds = 1,
  policy_head: policyHead = "mean",
  channels = 3,
  ...sizes
}: ModelOptions): Model {
  const entry = entries.find((candidate) => candidate.name === name);
  if (entry === undefined) {
    throw fault("usage", { where: "--model", rule: `must be one of ${modelNames.join(", ")}`, got: name });
  }
  const form = entry.forms[variant];
  if (form === undefined) {
    const rule = `must be ${Object.keys(entry.forms).join(" or ")} for ${name}`;
    throw fault("usage", { where: "--variant", rule, got: variant });
  }
  const imageSize = sizes.img_size ?? form.imageSize;
  if (imageSize > mostPixels) {
    throw fault("usage", { where: "--img_size", rule: `must be at most ${mostPixels}`, got: imageSize });
  }
  const lowSize = sizeWithin("--lr_size", sizes.lr_size, imageSize);
  const grid = gridOf(imageSize, sizes);
  const lowInput = variant === "2019" ? imageSize : lowSize;
  const policyInput =
    rounds > 1 ? { size: imageSize, channels: roundChannels(channels) } : { size: lowInput, channels };
  const network = arch === undefined ? form.classifier : archs[arch];
  const classifier = (classes: number) => network(classes, { grid, lowSize });
  if (arch !== undefined) classifier(1); // says which sizes it can't take
  return {
    name,
    variant,
    arch,
    description: form.description,
    imageSize,
    lowSize,
    lowInput,
    grid,
    dataset: entry.dataset,
    transform: transformOf(entry.dataset),
    pretrained: arch === undefined ? form.pretrained : undefined,
    channels,
    classifier,
    seesMask: seesMask(arch),
    lowClassifier: seesMask(arch) ? form.classifier : classifier,
    rounds,
    policyHead,
    policy: form.policy(grid.patches, policyHead === "map" ? grid : undefined),
    policyInput,
  };
}

function transformOf(dataset: ModelDataset): Model["transform"] {
  return dataset === "fmow" || dataset === "imagenet" ? dataset : "cifar";
}

function gridOf(imageSize: number, { patch_size: patch, grid }: Pick<ModelOptions, "patch_size" | "grid">): Grid {
  if (grid !== undefined) return gridOfNumber(imageSize, grid, patch);
  if (typeof patch !== "string") return makeGrid(imageSize, sizeWithin("--patch_size", patch, imageSize));
  for (const side of sidesOf(patch)) sizeWithin("--patch_size", side, imageSize);
  return makeGrid(imageSize, patch);
}

function gridOfNumber(imageSize: number, grid: GridSize, patch: PatchSize | undefined): Grid {
  if (patch !== undefined) {
    throw fault("usage", { where: "--grid", rule: "must not stand beside --patch_size", got: `${grid} and ${patch}` });
  }
  const [columns, rows] = grid.split("x").map(Number);
  if (imageSize % columns === 0 && imageSize % rows === 0) {
    return makeGrid(imageSize, columns === rows ? imageSize / rows : `${imageSize / columns}x${imageSize / rows}`);
  }
  // Of its quarter the low resolution is made.
  const unit = [columns, rows, quarter].reduce((a, b) => (a * b) / greatestDivisor(a, b));
  const rule = `must divide the image size of ${imageSize} pixels into whole patches`;
  const next = `give --img_size ${Math.max(1, Math.round(imageSize / unit)) * unit}`;
  throw fault("usage", { where: "--grid", rule, got: grid, next });
}

function greatestDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestDivisor(b, a % b);
}

/** The side that a flag gives, which must divide the image's; a quarter of it when absent. */
function sizeWithin(flag: string, given: number | undefined, imageSize: number): number {
  const size = given ?? imageSize / quarter;
  if (imageSize % size === 0 && Number.isInteger(size)) return size;
  if (given === undefined) {
    const rule = `must be a multiple of ${quarter} unless --lr_size and --patch_size are given`;
    const next = `give ${Math.max(1, Math.round(size)) * quarter}, or both sizes, which must divide it`;
    throw fault("usage", { where: "--img_size", rule, got: imageSize, next });
  }
  const next = "give one that does, or another --img_size";
  throw fault("usage", { where: flag, rule: `must divide the image size of ${imageSize} pixels`, got: size, next });
}
