/** Which model is taken for a data set when none is named: decided from facts about the data alone. */
import { fault } from "../errors.ts";
import { allModels, findModel, type ModelDataset, type Variant } from "./registry.ts";

/** What is known of a data set that has not been opened. */
export interface DataFacts {
  /** As `--dataset` names it. */
  readonly dataset: string;
  /** Size of a typical image, in pixels. */
  readonly pictures: { readonly width: number; readonly height: number };
}

export interface ModelForData {
  readonly model: string;
  /** Why, in words, where it does not go without saying. */
  readonly note: string | undefined;
}

/** Data sets whose images are those of the one that models were made for. */
const alike: Readonly<Record<string, ModelDataset>> = { cifar100_coarse: "cifar100", synthetic_bands: "synthetic" };

/** Models of image files of any size: small ones, and those to choose from for larger ones. */
const small = "R32_C10";
const large = ["R34_fMoW", "EffLite0", "R34_ImgNet"];
/** Longer side in pixels up to which an image is not much more than the small model's. */
const longestSmall = 64;

/**
 * The model made for the data set; the one for CIFAR-10 where images are as small as CIFAR's.
 * @throws usage: larger images, of which several models take something: the user has to say
 */
export function modelForData({ dataset, pictures }: DataFacts, variant: Variant = "2019"): ModelForData {
  const madeFor = alike[dataset] ?? dataset;
  const made = allModels().find((model) => model.dataset === madeFor);
  if (made !== undefined) return { model: made.name, note: undefined };
  const size = `${pictures.width} × ${pictures.height}`;
  const sideOf = (model: string) => findModel({ model, variant }).imageSize;
  if (Math.max(pictures.width, pictures.height) <= longestSmall) {
    return { model: small, note: `--model ${small}, of ${sideOf(small)} pixels, is taken for images of ${size}` };
  }
  const suited = allModels().filter((model) => model.variant === variant && large.includes(model.name));
  const offered = suited.map(({ name, imageSize }) => `${name} (${imageSize} pixels)`).join(" or ");
  throw fault("usage", {
    where: "--model",
    rule: `must be given for images of ${size} pixels`,
    next: `${offered} suit them, ${small} trains on thumbnails of ${sideOf(small)}`,
  });
}
