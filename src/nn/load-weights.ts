/** Takes weights of a file into a network, and asks it for one answer: numbers can be finite and what they compute not. */

import { isNotFinite, refuseValues } from "../formats/refuse-values.ts";
import type { StateDict } from "../formats/safetensors.ts";
import { scope } from "../tensor/scope.ts";
import { elementCount, fromArray } from "../tensor/tensor.ts";
import { Random } from "../utils/random.ts";
import type { Network } from "./layers.ts";
import type { Parameters } from "./parameters.ts";
import { forward } from "./training.ts";

/**
 * @param where names the weights in errors
 * @throws as {@link Parameters.load}; "notFinite" where the network answers with NaN or infinity
 */
export function loadWeights(
  learner: { readonly network: Network; readonly parameters: Parameters },
  state: StateDict,
  where: string,
): void {
  const { parameters } = learner;
  parameters.load(state, where);
  const shape = [1, ...parameters.declaration.input];
  // As normalized images are: about 0, with a deviation of about 1.
  const image = new Random(1, "load weights").normals(new Float32Array(elementCount(shape)));
  const answer = scope(() => forward(learner, fromArray(image, shape, parameters.device), "fp32", "eval").toFloat32());
  refuseValues(answer, isNotFinite, {
    where,
    rule: "must answer with finite numbers",
    what: "output",
    next: "its weights are too large or damaged: use an earlier or another checkpoint",
  });
}
