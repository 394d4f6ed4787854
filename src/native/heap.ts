/** The heap of the C library, which holds a CPU's tensors: kept from step to step, and cleared when it has grown ragged. */
import koffi from "koffi";

/** Of glibc; other C libraries have no such calls. */
interface Glibc {
  mallopt(key: number, value: number): number;
  malloc_trim(pad: number): number;
}

let glibc: Glibc | undefined;

/**
 * glibc gives large blocks back to the system and faults them in again at each step; raising its thresholds keeps them.
 * Before 2.35 its threshold has a limit, and only no mapping at all (M_MMAP_MAX) keeps blocks above it.
 * (mallopt(3): M_TRIM_THRESHOLD = −1, M_MMAP_THRESHOLD = −3, M_MMAP_MAX = −4.)
 */
export function keepLargeBlocks(): void {
  glibc ??= openGlibc();
  if (glibc === undefined) return;
  if (glibc.mallopt(-3, 0x7fffffff) === 0) glibc.mallopt(-4, 0);
  glibc.mallopt(-1, 0x7fffffff);
}

function openGlibc(): Glibc | undefined {
  if (process.platform !== "linux") return undefined;
  try {
    const libc = koffi.load("libc.so.6");
    return {
      mallopt: libc.func("int mallopt(int, int)") as Glibc["mallopt"],
      malloc_trim: libc.func("int malloc_trim(size_t)") as Glibc["malloc_trim"],
    };
  } catch {
    return undefined;
  }
}

/** Memory may grow to so many times what a step needs. */
const growth = 1.4;
/** Clearing costs the next step about a tenth of a second: its pages are faulted in again. */
const leastStepsBetween = 4;

/**
 * Bounds the memory of a long training. An aligned block does not fit where one of its size was before (glibc up to 2.37
 * looks for a place that is larger by the alignment), so the heap grows by some percent a step, to twice what a step needs.
 * All that is free is given back when it has grown too far.
 */
export class HeapWatch {
  readonly #resident: () => number;
  readonly #clear: () => void;
  #steps = 0;
  /** Bytes after the first step since the heap was cleared: what a step needs. */
  #needed = 0;

  /** @param memory bytes that are resident, and what gives back those that are free; this process's when absent */
  constructor(
    memory: { resident: () => number; clear: () => void } = {
      resident: () => process.memoryUsage.rss(),
      clear: () => glibc?.malloc_trim(0),
    },
  ) {
    this.#resident = memory.resident;
    this.#clear = memory.clear;
  }

  /** To be called after each step. */
  afterStep(): void {
    this.#steps += 1;
    if (this.#steps === 1) this.#needed = this.#resident();
    if (this.#steps < leastStepsBetween || this.#resident() < growth * this.#needed) return;
    this.#clear();
    this.#steps = 0;
  }
}
