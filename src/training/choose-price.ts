/** What a patch costs while a policy learns: `--price`, or with `--target_patches` whatever brings it to so many. */
import { fault } from "../errors.ts";
import { DrivenPrice } from "../method/driven-price.ts";
import type { RewardKind } from "../method/reward.ts";
import type { Learner } from "../models/networks.ts";

interface PriceOptions {
  readonly reward: RewardKind;
  readonly price: number;
  readonly estimator: string;
  readonly target_patches?: number | undefined;
}

/** The price that is driven to `--target_patches`; none where it stays as it is. */
export function drivenPriceOf({ target_patches: target, price }: PriceOptions, policy: Learner) {
  return target === undefined ? undefined : new DrivenPrice(price, target, policy.parameters.flat);
}

/** What a driven price needs, looked at before anything is opened. @throws usage */
export function checkTargetPatches(options: PriceOptions, patches: number): void {
  const { reward, price, estimator, target_patches: target } = options;
  if (target === undefined) return;
  const where = "--target_patches";
  if (target >= patches) throw fault("usage", { where, rule: `must be below the ${patches} patches`, got: target });
  if (estimator === "values") {
    const next = "leave it out, and give it to eval afterwards: values serve every number of patches";
    throw fault("usage", { where, rule: "must not be given with --estimator values", got: target, next });
  }
  if (reward !== "priced") {
    const next = "give --reward priced, or leave --target_patches out";
    throw fault("usage", { where, rule: "needs --reward priced", got: `--reward ${reward}`, next });
  }
  if (price === 0) throw fault("usage", { where: "--price", rule: "must be above 0 to begin with", got: price });
}
