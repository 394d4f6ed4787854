/** The options that say where and how is computed: device, precision, threads. */
import { z } from "zod";
import { mostThreads } from "../utils/threads.ts";
import { folder, shownAs, whole } from "./option.ts";

const device = z.string().regex(/^(cpu|cuda(:\d+)?)$/, "must be cpu, cuda or cuda:N");

export const deviceGroup = {
  device: shownAs("name", device.default("cpu").describe("cpu, cuda or cuda:N")),
  precision: z
    .enum(["auto", "fp32", "bf16"])
    .default("auto")
    .describe(
      "arithmetic of the networks; auto takes bf16 where that is faster: on processors with AMX or AMD's AVX-512 bf16, and on GPUs from Ampere on",
    ),
  threads: whole(1, mostThreads)
    .optional()
    .describe(
      "number of libtorch's threads; when absent OMP_NUM_THREADS, or one for each processor that it may use and others leave it, which mpirun limits to one",
    ),
  torch: folder("folder of the PyTorch to use; searched for when absent (see patchdrop doctor)").optional(),
};
