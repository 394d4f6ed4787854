/** The options of the method: how a policy explores and what it is rewarded with, and how a classifier is finetuned beside it. */
import { z } from "zod";
import { estimators } from "../method/estimator.ts";
import { rewards } from "../method/reward.ts";
import { oneOf } from "./option.ts";

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
  estimator: oneOf("how the policy learns from rewards", estimators).default("self_critical"),
  reward: oneOf("what a choice of patches earns", rewards).default("quadratic"),
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
