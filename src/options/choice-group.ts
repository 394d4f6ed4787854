/** The options that say how patches are chosen, for every command whose policy chooses: one meaning everywhere. */
import { z } from "zod";

export const choiceGroup = {
  policy: z
    .enum(["threshold", "topk", "sample", "calibrated"])
    .optional()
    .describe(
      "patches to take: those at least as likely as --threshold (the default), the --budget likeliest, each with its probability, or as a --target_… was calibrated and stored",
    ),
  budget: z
    .number()
    .int()
    .min(0)
    .optional()
    .describe("patches an image: exactly so many with --policy topk, else at most, the likeliest"),
  threshold: z.number().min(0).max(1).optional().describe("probability from which a patch is taken; 0.5 when absent"),
  exit: z
    .number()
    .gt(0)
    .max(1)
    .optional()
    .describe(
      "calibrated confidence, above 0 and up to 1, from which on an image takes no further patch: before the first one, and between rounds; patchdrop eval --exit calibrates it and stores how",
    ),
};

/** Of commands that look at images one after the other, as they come: none has random patches. */
export const plainChoiceGroup = {
  ...choiceGroup,
  policy: choiceGroup.policy
    .unwrap()
    .exclude(["sample"])
    .optional()
    .describe(
      "patches to take: those at least as likely as --threshold (the default), the --budget likeliest, or as patchdrop eval calibrated and stored",
    ),
};
