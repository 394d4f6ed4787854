/** What a patch costs while a policy learns: `--price`, or with `--target_patches` whatever brings it to so many. */
import { fault } from "../errors.ts";
import { DrivenPrice } from "../method/driven-price.ts";
import type { Learner } from "../models/networks.ts";

interface PriceOptions {
  readonly price: number;
  readonly target_patches?: number | undefined;
}

/** The price that is driven to `--target_patches`; none where it stays as it is. */
export function drivenPriceOf({ target_patches: target, price }: PriceOptions, patches: number, policy: Learner) {
  return target === undefined ? undefined : new DrivenPrice(price, target, patches, policy.parameters.flat);
}

/** @throws usage: a target that needs no policy to be met */
export function checkTargetPatches(
  { target_patches: got }: Pick<PriceOptions, "target_patches">,
  patches: number,
): void {
  if (got === undefined || got < patches) return;
  throw fault("usage", { where: "--target_patches", rule: `must be below the ${patches} patches`, got });
}
