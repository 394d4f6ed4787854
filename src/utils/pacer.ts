/** Keeps a loop that takes long from holding up everything else that the process has to do. */

const turnEveryMs = 50;

/**
 * Await what it gives in each turn of a long loop: now and then signals, timers and sockets then have their turn, and in
 * between it costs next to nothing.
 */
export function pacer(): () => Promise<void> | undefined {
  let last = performance.now();
  return () => {
    if (performance.now() - last < turnEveryMs) return undefined;
    return new Promise((resolve) => {
      setImmediate(() => {
        last = performance.now();
        resolve();
      });
    });
  };
}
