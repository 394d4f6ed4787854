/** Opening libtorch for a device. */
import { availableParallelism } from "node:os";
import { fault } from "../errors.ts";
import { findLibtorch } from "../native/find.ts";
import { openLibtorch } from "../native/library.ts";
import { checkPlantedGradients } from "./autograd.ts";
import { openCuda } from "./cuda.ts";
import type { Device } from "./device.ts";

/** Which libtorch, with how many threads, on which device. */
export interface StartOptions {
  torch?: string | undefined;
  threads?: number | undefined;
  device: string;
}

/** Finds and opens libtorch, once a process. */
export function startLibtorch({ torch, threads, device }: StartOptions) {
  const used = threads ?? Number(process.env.OMP_NUM_THREADS ?? availableParallelism());
  const found = findLibtorch(torch === undefined ? {} : { torch });
  const place = device as Device;
  if (place !== "cpu" && !found.cuda) {
    throw fault("input", {
      where: "--device",
      rule: "needs a libtorch with CUDA",
      got: `${device}, but ${found.root} has none`,
      next: "run `patchdrop setup --cuda`, or use --device cpu",
    });
  }
  const library = openLibtorch(found, { threads: used, cuda: place !== "cpu" });
  const cuda = place === "cpu" ? undefined : openCuda(place);
  checkPlantedGradients(place);
  return { version: library.found.version, threads: used, cuda };
}
