/**
 * A price for each patch that is driven until the policy takes as many as it is meant to: gradient ascent on the multiplier of
 * the constraint E|a| = S, beside the policy's own learning. Not in the paper, whose reward has no such number.
 *
 * Shapes: B batch, P patches.
 */
import * as ops from "../tensor/ops.ts";
import { keep, scope } from "../tensor/scope.ts";
import { full, type Tensor } from "../tensor/tensor.ts";
import { threshold } from "./policy.ts";

/**
 * Share of the price that a step adds where all patches are taken and none is meant to be. A share, so that the price stays
 * above zero and needs no unit; small, so that the policy can follow.
 */
const rate = 0.02;

export class DrivenPrice {
  /** What a patch costs now: float32 [], on the policy's device, where a captured step finds it. */
  readonly price: Tensor;
  readonly #target: number;
  readonly #patches: number;

  /**
   * @param start above 0
   * @param target S, in patches
   * @param patches P
   * @param like any tensor on the policy's device
   */
  constructor(start: number, target: number, patches: number, { device }: Pick<Tensor, "device">) {
    this.price = keep(full([], start, "float32", device));
    this.#target = target;
    this.#patches = patches;
  }

  /** n̄ / P, n̄ being the mean number of patches that the policy takes of a batch: a scalar. [B, P] */
  shareOf(probabilities: Tensor): Tensor {
    return scope(() => ops.mean(threshold(probabilities)));
  }

  /**
   * price ← price · (1 + rate · (n̄ − S) / P), by n̄ / P, one element.
   * @param decided the number of patches that are left to the policy: as it is while these are not all, since the curriculum's
   * are no choice of the policy
   */
  follow(share: Tensor, decided = this.#patches): void {
    if (decided < this.#patches) return;
    scope(() => {
      const growth = ops.shift(ops.scale(share, rate), 1 - (rate * this.#target) / this.#patches);
      ops.copyInto(this.price, ops.mul(this.price, ops.view(growth, [])));
    });
  }

  get value(): number {
    return this.price.item();
  }

  set value(price: number) {
    this.price.upload(Float32Array.of(price));
  }

  free(): void {
    this.price.free();
  }
}
