/**
 * The heap of the C library, in which a CPU's tensors lie. JavaScript's typed arrays of more than a few elements, and all
 * that were ever passed to C, lie there too: until they are collected they keep freed blocks next to them from being merged,
 * and the heap grows. So a step makes few of them.
 */
import { koffi } from "./koffi.ts";

/**
 * glibc gives large blocks back to the system and faults them in again at each step; raising its thresholds keeps them.
 * Before 2.35 the threshold has a limit, and larger blocks are kept only if mapping is turned off (M_MMAP_MAX). Other C
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
