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
 * @param note hears, when it is opened, how many threads there are where that was chosen here
 * @throws input: no suitable libtorch, no such GPU; usage: libtorch is open, but not as these options ask for it
 */
export function startLibtorch(
  { torch, threads, device }: StartOptions,
  note: (text: string) => void = () => undefined,
) {
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
  if (before === undefined && threadsWhy !== "") note(`--threads ${count}, ${threadsWhy}`);
  return { version: library.found.version, threads: count, cuda };
}
