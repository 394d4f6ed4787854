/**
 * The heap of the C library, in which a CPU's tensors lie. JavaScript's typed arrays of more than a few elements, and all
 * that were ever passed to C, lie there too, and until they are collected they keep tensors beside them from growing
 * together again, and the heap grows. So a step makes few of them.
 */
import { koffi } from "./koffi.ts";

/**
 * glibc gives large blocks back to the system and faults them in again at each step; raising its thresholds keeps them.
 * Before 2.35 its threshold has a limit, and only no mapping at all (M_MMAP_MAX) keeps blocks above it. Other C
 * libraries have no such calls.
 * (mallopt(3): M_TRIM_THRESHOLD = −1, M_MMAP_THRESHOLD = −3, M_MMAP_MAX = −4.)
 */
export function keepLargeBlocks(): void {
  if (process.platform !== "linux") return;
  let mallopt: (key: number, value: number) => number;
  try {
    mallopt = koffi().load("libc.so.6").func("int mallopt(int, int)") as typeof mallopt;
  } catch {
    return;
  }
  if (mallopt(-3, 0x7fffffff) === 0) mallopt(-4, 0);
  mallopt(-1, 0x7fffffff);
}
