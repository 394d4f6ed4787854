/** The options of the method: how a policy explores, what it is rewarded for, and how a classifier is finetuned with it. */
import { z } from "zod";
import { estimators } from "../method/estimator.ts";
import { rewards } from "../method/reward.ts";
import { values } from "../method/values.ts";
import { oneOf, whole } from "./option.ts";

const fill = z.enum(["zero", "lr"]);

/** For an existing run, to override what it was trained with. */
export const runFill = fill.optional().describe("what dropped patches are filled with; as in the run when absent");

export const penalty = z.number().max(0).describe("reward of a wrong answer");

/** Where the checkpoints that a stage starts from say nothing of it. */
export const foundFill = fill.default("zero");

const policyHead = z.enum(["mean", "map"]);
export const foundPolicyHead = policyHead.default("mean");

/** Of pretraining alone. */
export const pretrainingGroup = {
  estimator: oneOf("how the policy learns from rewards", { ...estimators, ...values }).default("self_critical"),
  rounds: whole(1)
    .optional()
    .describe(
      "rounds in which the policy decides, at most: in each it sees what it has so far and asks for more, or stops; above 1 with --estimator values; as in the policy's run when absent, else 1",
    ),
  judge_epochs: whole(1)
    .optional()
    .describe(
      "with --estimator values, epochs in which the classifier judges: later ones go through these again, with the same images, masks and rewards, and without the classifier; all when absent",
    ),
};
export const foundRounds = whole(1).default(1);

/** Of a classifier that learns on masks. */
export const randomMasks = z.number().min(0).max(1).default(0);

export const defaultPrice = 0.01;

/** What the three policy stages take. */
export const policyGroup = {
  alpha: z
    .number()
    .gt(0.5, "must be above 0.5, at which every probability is ½ and nothing is learned")
    .max(1)
    .default(0.8)
    .describe("exploration: probabilities are kept between 1 − alpha and alpha"),
  beta: z
    .number()
    .min(0)
    .default(0)
    .describe("weight of an entropy bonus in the policy's loss; in the authors' code, beta has no effect"),
  sigma: z
    .number()
    .default(0.1)
    .describe("accepted so that the authors' command lines work; has no effect, as in their code"),
  estimator: oneOf("how the policy learns from rewards", estimators).default("self_critical"),
  reward: oneOf("what a mask earns", rewards).default("quadratic"),
  price: z.number().min(0).default(defaultPrice).describe("with --reward priced, what a patch costs"),
  target_patches: z
    .number()
    .positive()
    .optional()
    .describe(
      "with --reward priced, the mean number of patches that the policy is to take: the price begins at --price and is driven there",
    ),
  policy_head: policyHead
    .optional()
    .describe(
      "what the policy's outputs are made of: the mean of its last map, which forgets where things are, or its mean over each patch; as in the policy's run when absent, else mean",
    ),
  fill: fill
    .optional()
    .describe(
      "what dropped patches are filled with: zeros, or the low-resolution image; as in the classifier's run when absent",
    ),
};

/** What the two finetunings take in addition. */
export const finetuningGroup = {
  classifier_bn: z
    .enum(["train", "frozen"])
    .default("train")
    .describe("batch norm of the classifier while it is finetuned; frozen in the 2019 code"),
  policy_loss: z
    .enum(["mean", "sum"])
    .default("mean")
    .describe("policy loss over the images of a batch; sum in the 2019 code"),
  random_masks: randomMasks.describe(
    "share of a batch on which the classifier learns a second time, under random masks",
  ),
};
