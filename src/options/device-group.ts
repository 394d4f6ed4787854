/** The options that say on what is computed, and how. */
import { z } from "zod";
import { folder, shownAs, whole } from "./option.ts";

const device = z.string().regex(/^(cpu|cuda(:\d+)?)$/, "must be cpu, cuda or cuda:N");

export const deviceGroup = {
  device: shownAs("name", device.default("cpu").describe("cpu, cuda or cuda:N")),
  precision: z
    .enum(["auto", "fp32", "bf16"])
    .default("auto")
    .describe("arithmetic of the networks; auto takes bf16 where the processor has it"),
  threads: whole(1).optional().describe("threads of libtorch; all processors when absent"),
  torch: folder("folder of the PyTorch to use; searched for when absent (patchdrop doctor)").optional(),
};
