/**
 * An exported run's networks in ONNX Runtime, which computes in fp32 on the CPU. Needs no libtorch and nothing of Node: the
 * browser page computes with it too. Shapes as in engine.ts.
 */
import { env } from "onnxruntime-web";
import type { RunDescription } from "../checkpoints/description.ts";
import { fault } from "../errors.ts";
import { seesMask } from "../method/arch.ts";
import { makeGrid } from "../method/grid.ts";
import type { Fill } from "../method/images.ts";
import { enlargePixels } from "../method/pixels.ts";
import { acquiredPlanes, dropPatches, roundPlanes, softmax, toPlanes } from "../method/planes.ts";
import { doubts } from "../method/rounds.ts";
import type { Acquired, Engine, HeldBatch, Views } from "./engine.ts";
import { type Models, OnnxNetworks } from "./onnx-networks.ts";

/** How images become what the networks see. */
export type Feeding = Pick<
  RunDescription,
  "imageSize" | "lowSize" | "patchSize" | "arch" | "normalization" | "low" | "fill" | "classes" | "rounds"
>;

export class OnnxEngine implements Engine {
  readonly #networks: OnnxNetworks;
  readonly #feeding: Feeding;

  /**
   * @param where names the models in errors
   * @param threads 0 leaves it to ONNX Runtime: half the processors, four at most
   * @throws input: models that ONNX Runtime does not take
   */
  static async open(
    models: Models,
    feeding: Feeding,
    { where, threads = 0 }: { where: string; threads?: number | undefined },
  ): Promise<OnnxEngine> {
    env.wasm.numThreads = threads;
    env.logLevel = "error";
    const { imageSize, patchSize, arch, classes, rounds, normalization } = feeding;
    const { patches } = makeGrid(imageSize, patchSize);
    const sizes = { imageSize, patches, arch, classes: classes.length, rounds, channels: normalization.mean.length };
    return new OnnxEngine(await OnnxNetworks.open(models, sizes, where), feeding);
  }

  private constructor(networks: OnnxNetworks, feeding: Feeding) {
    this.#networks = networks;
    this.#feeding = feeding;
  }

  hold({ images, low }: Views): HeldBatch {
    const { imageSize, lowSize, patchSize, fill, normalization, classes, rounds } = this.#feeding;
    const { low: lowNormalization = normalization, arch } = this.#feeding;
    const channels = normalization.mean.length;
    const grid = makeGrid(imageSize, patchSize);
    // The graphs take whole images, and see of each block of them its top left pixel.
    const whole = low === undefined ? images : enlargePixels(low, lowSize, imageSize, channels);
    if (whole === undefined) {
      throw fault("internal", { where: "hold", rule: "needs the images or the low resolution" });
    }
    const lowResolution = () => toPlanes(whole, imageSize, lowNormalization);
    const masked = (mask: Uint8Array, filling: Fill) => {
      if (images === undefined) throw fault("internal", { where: "hold", rule: "needs the images" });
      const planes = toPlanes(images, imageSize, normalization);
      if (filling === "zero") return dropPatches(planes, mask, grid);
      return dropPatches(planes, mask, grid, lowSize, lowResolution());
    };
    const view = (acquired: Acquired | undefined) => {
      if (rounds === 1) return lowResolution();
      if (acquired === undefined) throw fault("internal", { where: "probabilities", rule: "needs what was acquired" });
      const { mask, logits } = acquired;
      const doubt = doubts(softmax(logits, classes.length), classes.length);
      return roundPlanes(masked(mask, "lr"), mask, doubt, grid);
    };
    const networks = this.#networks;
    return {
      async probabilities(acquired) {
        const found = await networks.decide(view(acquired));
        if (found === undefined) throw fault("internal", { where: "probabilities", rule: "needs a policy" });
        return found;
      },
      logits(mask) {
        const seen = masked(mask, fill);
        return networks.logits(lowResolution(), seesMask(arch) ? acquiredPlanes(seen, mask, grid) : seen);
      },
      free() {},
    };
  }

  free(): Promise<void> {
    return this.#networks.free();
  }
}
