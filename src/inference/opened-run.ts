/**
 * A trained run, opened: look at the low resolution, choose patches, classify what was acquired. Everything that applies a
 * run to images goes through here (evaluation, prediction, acquisition, reports, training's own tests), whatever computes
 * its networks.
 *
 * Shapes: B batch, S image size, L low-resolution size, C bands, P patches, K classes.
 */
import type { RunDescription } from "../checkpoints/description.ts";
import { fault } from "../errors.ts";
import { type Choice, choosePatches } from "../method/budget.ts";
import { countPatches, type Grid, makeGrid, pixelsRead } from "../method/grid.ts";
import { type Exit, leaves } from "../method/leave-early.ts";
import { enlargePixels, fillDropped, lowPixels } from "../method/pixels.ts";
import { softmax } from "../method/planes.ts";
import { mostInRound } from "../method/rounds.ts";
import type { NetworkName } from "../models/networks.ts";
import type { Precision } from "../nn/precision.ts";
import { kindOf } from "../utils/kind-of.ts";
import { splitPair } from "../utils/pairs.ts";
import { newPixels, type PixelArray } from "../utils/pixel-array.ts";
import { row } from "../utils/rows.ts";
import type { Engine, HeldBatch, MaybePromise, Views } from "./engine.ts";
import { finiteAnswers } from "./finite-answers.ts";
import { type Asked, type Decided, lookInRounds, wantedOf } from "./look-in-rounds.ts";
import { rememberNone } from "./remember-none.ts";

/** What the run says about a batch, row by row. */
export interface Predicted {
  /** Probabilities of the classes [B, K]. */
  readonly classes: Float32Array;
  /** 1 for a patch that is taken [B, P]: of a high-resolution classifier all, of a low-resolution one none. */
  readonly mask: Uint8Array;
  /** The policy's probabilities to take a patch [B, P], where it was last asked; none where no policy chose. */
  readonly patches: Float32Array | undefined;
  /** In how many rounds patches were asked for [B]; none where no policy chose. */
  readonly rounds: Uint8Array | undefined;
  /** 1 for an image that left early, since the classifier was sure enough of it [B]; none where no policy chose. */
  readonly left: Uint8Array | undefined;
}

export interface RunParts {
  readonly description: RunDescription;
  readonly networks: ReadonlySet<NetworkName>;
  readonly engine: Engine;
  /** How patches are chosen. */
  readonly choice: Choice;
  /** When an image takes no further patch; never when absent. */
  readonly exit?: Exit | undefined;
  /** In which the networks compute. */
  readonly precision: Precision;
  /** Names the networks' weights, see checkpoints/networks-hash.ts. */
  readonly checkpoint: string;
}

export interface RunSizes {
  readonly imageSize: number;
  readonly lowSize: number;
  readonly grid: Grid;
  readonly channels: number;
}

/** Whether a run of these networks has two streams: a classifier for each resolution. */
export function areTwoStreams(networks: { has(name: NetworkName): boolean }): boolean {
  return networks.has("resnet_hr") && networks.has("resnet_lr");
}

/** A trained run, ready for images: made by `openPredictor` or `openOnnxPredictor`, and to be freed. */
export class OpenedRun {
  readonly description: RunDescription;
  /** Sides in pixels, the patches, and the bands of an image. */
  readonly model: RunSizes;
  readonly checkpoint: string;
  /** How patches are chosen. */
  readonly choice: Choice;
  /** In which the networks compute: "fp32" or "bf16". */
  readonly precision: Precision;
  readonly networks: ReadonlySet<NetworkName>;
  /** When an image takes no further patch, as the classifier is sure enough of it. */
  readonly exit: Exit | undefined;
  readonly #engine: Engine;
  #isFreed = false;

  constructor({ description, networks, engine, choice, exit, precision, checkpoint }: RunParts) {
    const { imageSize, lowSize, patchSize, bands } = description;
    this.description = description;
    this.model = { imageSize, lowSize, grid: makeGrid(imageSize, patchSize), channels: bands.length };
    this.checkpoint = checkpoint;
    this.networks = networks;
    this.#engine = engine;
    this.choice = choice;
    this.exit = exit;
    this.precision = precision;
  }

  /** The same run, of which images leave early. It computes with this one's networks: only one of the two is to be freed. */
  leavingAt(exit: Exit): OpenedRun {
    const { description, networks, choice, precision, checkpoint } = this;
    return new OpenedRun({ description, networks, engine: this.#engine, choice, exit, precision, checkpoint });
  }

  /** Names of the classes, [K]. */
  get classes(): readonly string[] {
    return this.description.classes;
  }

  /** How a picture of any size becomes the run's image. */
  get transform(): RunDescription["transform"] {
    return this.description.transform;
  }

  /** In how many rounds the policy decides, at most; 1 where it decides once. */
  get rounds(): number {
    return this.description.rounds;
  }

  get hasPolicy(): boolean {
    return this.networks.has("agent");
  }

  /** Whether a classifier sees what is acquired, and not the low resolution alone. */
  get seesHigh(): boolean {
    return this.networks.has("resnet_hr");
  }

  /** Whether the logits of a low-resolution classifier are added to those of what is acquired. */
  get hasTwoStreams(): boolean {
    return areTwoStreams(this.networks);
  }

  /** Whether the low resolution is made of another picture of the same ground, and not of the image itself. */
  get seesPairs(): boolean {
    return this.description.low !== undefined;
  }

  /** How many pixels are acquired for an image of which `patches` patches are taken. */
  pixels(patches: number): number {
    const seesLow = this.hasPolicy || this.networks.has("resnet_lr");
    return pixelsRead(this.model.grid, patches, seesLow ? this.model.lowSize : 0);
  }

  /**
   * A batch to look at once and to classify under several masks; the caller frees it.
   * @throws usage: pixels that are no whole images of the run's size, or not as many in both. What the batch is asked throws
   *   notFinite where a network answers with NaN or infinity
   */
  hold(views: Views): HeldBatch {
    if (this.#isFreed) {
      throw fault("usage", { where: "run", rule: "must not be used after free()", next: "open it again" });
    }
    const { images, low } = views;
    const known = this.seesPairs && images !== undefined && low === undefined ? this.views(images) : views;
    this.#check(known);
    return rememberNone(finiteAnswers(this.#engine.hold(known), `checkpoint ${this.checkpoint}`.trim()));
  }

  /**
   * What a data set's pixels are to the run: images [B, S, S, C], and the low resolution [B, L, L, C], which is made of them, or, of a run
   * that has learned from pairs [B, S, S, 2C], of the low pictures.
   * @throws usage: pixels of another type or length
   */
  views<P extends PixelArray>(pixels: P): { readonly images: P; readonly low: P } {
    const { imageSize, lowSize, channels } = this.model;
    this.#countImages("images", pixels, imageSize, this.seesPairs ? 2 * channels : channels);
    const own: { image: P; low: P } = { image: pixels, low: pixels };
    const { image, low } = this.seesPairs ? splitPair(pixels, channels) : own;
    return { images: image, low: lowPixels(low, imageSize, lowSize, channels) };
  }

  /** The most patches that one round may ask for. */
  get mostInRound(): number {
    return mostInRound(this.model.grid.patches, this.rounds);
  }

  /**
   * What a policy decides about a batch of `count` images, by a choice.
   * @param uniforms of image `b`, [P], for a choice that samples
   */
  decideOn(
    held: HeldBatch,
    count: number,
    choice: Choice = this.choice,
    uniforms?: (b: number) => ArrayLike<number>,
  ): Promise<Decided> {
    const looking = { rounds: this.rounds, count, patches: this.model.grid.patches };
    return lookInRounds(looking, (there) => this.#ask(held, there, choice, uniforms));
  }

  /** One round of it. @param there what is there already, [B, P] */
  async #ask(
    held: HeldBatch,
    there: Uint8Array,
    choice: Choice,
    uniforms: (b: number) => ArrayLike<number> = () => [],
  ): Promise<Asked> {
    const { patches: each } = this.model.grid;
    const mask = new Uint8Array(there.length);
    const leaving = await this.leavingFrom(held, there);
    // What could take no further patch anyway does not leave early.
    const hasAll = (b: number) => countPatches(row(there, b, each)) >= (choice.budget ?? each);
    for (const b of leaving?.keys() ?? []) if (hasAll(b)) leaving![b] = 0;
    if (leaving !== undefined && !leaving.includes(0)) {
      return { mask, patches: new Float32Array(there.length), leaves: leaving };
    }
    const wanted = await wantedOf(held, this.rounds, there);
    const patches = leaving === undefined ? wanted : wanted.slice();
    for (let b = 0; b < there.length / each; b++) {
      if (leaving?.[b] === 1) {
        row(patches, b, each).fill(0);
        continue;
      }
      const round = { acquired: row(there, b, each), most: this.mostInRound };
      mask.set(choosePatches(row(patches, b, each), choice, uniforms(b), round), b * each);
    }
    return { mask, patches, leaves: leaving };
  }

  /** Which images take no further patch than those that are there, [B]; undefined of a run that none leave. @param there [B, P] */
  async leavingFrom(held: HeldBatch, there: Uint8Array): Promise<Uint8Array | undefined> {
    return this.exit && leaves(await held.logits(there), this.classes.length, this.exit);
  }

  /**
   * What the run says about whole images.
   * @param images [B, S, S, C] as the transform leaves them; of a run that has learned from pairs, pairs [B, S, S, 2C]
   * @throws usage: pixels of another type or length; notFinite
   */
  predict(images: PixelArray): Promise<Predicted> {
    const views = this.seesPairs ? this.views(images) : { images };
    return this.#holding(views, async (batch) => {
      const count = this.#countIn(views.images);
      const decided = this.hasPolicy ? await this.decideOn(batch, count) : undefined;
      const mask = decided?.mask ?? this.#maskOfClassifier(count);
      const classes = this.#probabilitiesOf(await batch.logits(mask));
      return { classes, mask, patches: decided?.probabilities, rounds: decided?.rounds, left: decided?.left };
    });
  }

  /**
   * The first half of {@link predict}, for whoever has the low resolution only: which patches to acquire. Of a run that
   * decides in rounds, those of one round: acquire them and ask again, until no image wants more.
   * @param low [B, L, L, C]
   * @param acquired what earlier rounds brought: [B, S, S, C] with anything elsewhere, and the mask of what is there [B, P]
   * @returns the mask [B, P] of (further) patches and the policy's probabilities [B, P]
   * @throws input: a run without a policy; usage: pixels or a mask of another length
   */
  async decide(low: PixelArray, acquired?: { readonly images: PixelArray; readonly mask: Uint8Array }): Promise<Asked> {
    if (!this.hasPolicy) {
      const next = "give --load a run of pretrain, finetune or finetune2stream";
      throw fault("input", { where: "--load", rule: "must hold a policy", got: [...this.networks].join(", "), next });
    }
    const { imageSize, lowSize, grid, channels } = this.model;
    this.#check({ low });
    const count = low.length / (channels * lowSize ** 2);
    const there = acquired?.mask ?? new Uint8Array(count * grid.patches);
    this.#checkMask(there, count);
    if (acquired !== undefined) this.#check({ images: acquired.images, low });
    // Nothing of the images is seen where nothing is acquired.
    const images = () => acquired?.images ?? newPixels(this.description.pixelType, channels * count * imageSize ** 2);
    return this.#holding(this.rounds === 1 && this.exit === undefined ? { low } : { images: images(), low }, (batch) =>
      this.#ask(batch, there, this.choice),
    );
  }

  /**
   * The second half: the classes' probabilities [B, K].
   * @param images [B, S, S, C], with anything in the patches that the mask drops
   * @param mask [B, P]
   * @param low [B, L, L, C]
   * @throws usage: pixels or a mask of another length
   */
  async classify(images: PixelArray, mask: Uint8Array, low: PixelArray): Promise<Float32Array> {
    this.#check({ images, low });
    this.#checkMask(mask, this.#countIn(images));
    return this.#holding({ images, low }, async (batch) => this.#probabilitiesOf(await batch.logits(mask)));
  }

  /**
   * What the classifier sees of images under a mask, [B, S, S, C]: where a patch was dropped, the mean colour or the
   * low resolution. A classifier of the low resolution sees nothing else.
   * @param low [B, L, L, C]; made of the images when absent. That of a pair is shown in the image's units: networks see both normalized
   * @throws usage: pixels or a mask of another length
   */
  seen<P extends PixelArray>(images: P, mask: Uint8Array, low?: P): P {
    this.#check({ images, ...(low && { low }) });
    this.#checkMask(mask, this.#countIn(images));
    const { imageSize, lowSize, grid, channels } = this.model;
    const { fill, normalization, pixelType } = this.description;
    const blocks = () => {
      const small = low === undefined ? lowPixels(images, imageSize, lowSize, channels) : this.shownLow(low);
      return enlargePixels(small, lowSize, imageSize, channels);
    };
    const meanColour = () => {
      return pixelType === "uint8" ? normalization.mean.map((mean) => Math.round(255 * mean)) : normalization.mean;
    };
    return fillDropped(images, mask, grid, fill === "lr" || !this.seesHigh ? blocks() : meanColour());
  }

  /** The low resolution [N, C] in the units of the images, as networks see it beside them; the same pixels unless it comes from other pictures. */
  shownLow<P extends PixelArray>(low: P): P {
    const { normalization, low: own, pixelType } = this.description;
    if (own === undefined) return low;
    const unit = pixelType === "uint8" ? 255 : 1;
    const { channels } = this.model;
    const shown = newPixels(pixelType, low.length) as P;
    for (let at = 0; at < low.length; at++) {
      const band = at % channels;
      const normalized = (low[at] / unit - own.mean[band]) / own.std[band];
      const value = unit * (normalized * normalization.std[band] + normalization.mean[band]);
      shown[at] = pixelType === "uint8" ? Math.max(0, Math.min(255, Math.round(value))) : value;
    }
    return shown;
  }

  /** Gives the networks' memory back; a second call does nothing. */
  free(): MaybePromise<void> {
    if (this.#isFreed) return;
    this.#isFreed = true;
    return this.#engine.free();
  }

  #check({ images, low }: Views): void {
    const { imageSize, lowSize } = this.model;
    const count = images && this.#countImages("images", images, imageSize);
    const lowCount = low && this.#countImages("low", low, lowSize);
    if (count === undefined && lowCount === undefined) {
      throw fault("usage", { where: "images", rule: "must be given, or the low resolution" });
    }
    if (count === undefined || lowCount === undefined || count === lowCount) return;
    throw fault("usage", { where: "low", rule: `must be as many images as the others, ${count}`, got: lowCount });
  }

  #countIn(images: PixelArray): number {
    return images.length / (this.model.channels * this.model.imageSize ** 2);
  }

  /** How many images the pixels are. */
  #countImages(where: string, pixels: PixelArray, size: number, channels = this.model.channels): number {
    const { pixelType } = this.description;
    const Type = pixelType === "uint8" ? Uint8Array : Float32Array;
    if (!(pixels instanceof Type)) {
      throw fault("usage", { where, rule: `must be a ${Type.name}`, got: kindOf(pixels) });
    }
    const each = channels * size ** 2;
    if (pixels.length > 0 && pixels.length % each === 0) return pixels.length / each;
    const unit = pixelType === "uint8" ? "bytes" : "numbers";
    const rule = `must be whole images of ${size} × ${size} pixels, ${each} ${unit} each`;
    throw fault("usage", { where, rule, got: `${pixels.length} ${unit}` });
  }

  #checkMask(mask: Uint8Array, count: number): void {
    const isBytes = mask instanceof Uint8Array;
    const wrong = isBytes ? mask.findIndex((taken) => taken > 1) : -1;
    if (!isBytes || wrong >= 0) {
      const got = isBytes ? mask[wrong] : kindOf(mask);
      throw fault("usage", { where: "mask", rule: "must be a Uint8Array of 0 and 1", got });
    }
    const expected = count * this.model.grid.patches;
    if (mask.length !== expected) {
      throw fault("usage", { where: "mask", rule: `must have ${expected} patches, as the images`, got: mask.length });
    }
  }

  /** A high-resolution classifier takes all patches, a low-resolution one takes none. */
  #maskOfClassifier(count: number): Uint8Array {
    return new Uint8Array(count * this.model.grid.patches).fill(this.seesHigh ? 1 : 0);
  }

  #probabilitiesOf(logits: Float32Array): Float32Array {
    return softmax(logits, this.classes.length);
  }

  async #holding<T>(views: Views, body: (batch: HeldBatch) => Promise<T>): Promise<T> {
    const batch = this.hold(views);
    try {
      return await body(batch);
    } finally {
      batch.free();
    }
  }
}
