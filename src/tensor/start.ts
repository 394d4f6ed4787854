/** Opening libtorch for a device. */
import { fault } from "../errors.ts";
import { findLibtorch } from "../native/find.ts";
import { openedLibtorch, openLibtorch } from "../native/library.ts";
import { checkPlantedGradients } from "./autograd.ts";
import { openCuda } from "./cuda.ts";
import type { Device } from "./device.ts";

export interface StartOptions {
  /** Folder of the PyTorch to use; absent: the one that is open, else the first that is found. */
  torch?: string | undefined;
  /** Threads of libtorch; absent: as {@link OpenOptions.threads}. */
  threads?: number | undefined;
  device: string;
}

/**
 * Finds and opens libtorch, once per process.
 * @throws input: no suitable libtorch, no such GPU; usage: libtorch is open, but not as these options ask for it
 */
export function startLibtorch({ torch, threads, device }: StartOptions) {
  const before = openedLibtorch();
  const open = torch === undefined ? before : undefined;
  const found = open?.found ?? findLibtorch({ torch });
  const place = device as Device;
  if (place !== "cpu" && !found.cuda) {
    throw fault("input", {
      where: "--device",
      rule: "needs a libtorch with CUDA",
      got: `${device}, but ${found.root} has none`,
      next: "run `patchdrop setup --cuda`, or use --device cpu",
    });
  }
  const library = openLibtorch(found, { threads, cuda: place !== "cpu" });
  const cuda = place === "cpu" ? undefined : openCuda(place);
  checkPlantedGradients(place);
  const { threads: count, threadsWhy } = library;
  // To be said once.
  return { version: library.found.version, threads: count, threadsWhy: before === undefined ? threadsWhy : "", cuda };
}
