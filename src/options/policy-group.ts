/** The options of the method: how a policy explores and what it is rewarded with, and how a classifier is finetuned beside it. */
import { z } from "zod";
import { estimatorNames } from "../method/estimator.ts";
import { rewardKinds } from "../method/reward.ts";

const fill = z.enum(["zero", "lr"]);

/** Of a run that is there, over what it was trained with. */
export const runFill = fill.optional().describe("what stands where a patch was dropped; as in the run when absent");

export const penalty = z.number().max(0).describe("reward of a wrong classification");

/** What the three policy stages take. */
export const policyGroup = {
  alpha: z
    .number()
    .gt(0.5, "must be above 0.5, at which every probability is ½ and nothing is learned")
    .max(1)
    .default(0.8)
    .describe("bound of the probabilities for exploration"),
  beta: z
    .number()
    .min(0)
    .default(0)
    .describe("weight of an entropy bonus in the policy's loss (the reference's flag, without effect there)"),
  sigma: z.number().default(0.1).describe("accepted for the reference's command lines; no effect, as there"),
  estimator: z
    .enum(estimatorNames)
    .default("self_critical")
    .describe("how the policy learns from rewards: a sampled mask against the greedy one"),
  reward: z
    .enum(rewardKinds)
    .default("quadratic")
    .describe("reward of a right answer: the paper's, or that of the 2019 code"),
  fill: fill.default("zero").describe("what stands where a patch was dropped: zeros, or the low-resolution image"),
};

/** What the two finetunings take besides. */
export const finetuningGroup = {
  classifier_bn: z
    .enum(["train", "frozen"])
    .default("train")
    .describe("batch norm of the classifier while it is finetuned (frozen: 2019)"),
  policy_loss: z.enum(["mean", "sum"]).default("mean").describe("policy loss over the images of a batch (sum: 2019)"),
};
