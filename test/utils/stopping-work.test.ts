/** How a stop reaches work that looks for it, and work that does not. */
import { expect, it } from "vitest";
import { pacer } from "../../src/utils/pacer.ts";
import { breathe, type Reporter, Stopped, silentReporter, stoppedBy, untilStopped } from "../../src/utils/reporter.ts";

const stoppedAt = (due: () => boolean): Reporter => ({
  ...silentReporter,
  stopping: () => (due() ? "SIGHUP" : undefined),
});

it("work that is done is returned, and its error thrown on, as long as nobody asks for a stop", async () => {
  expect(await untilStopped(silentReporter, Promise.resolve(7))).toBe(7);
  const own = new Error("own");
  await expect(untilStopped(silentReporter, Promise.reject(own))).rejects.toBe(own);
  // What is there already counts, also when a stop was asked for.
  expect(
    await untilStopped(
      stoppedAt(() => true),
      Promise.resolve(8),
    ),
  ).toBe(8);
});

it("work that would never end is left at a stop, and what becomes of it is ignored", async () => {
  let isAsked = false;
  let fail: (error: Error) => void = () => {};
  const work = new Promise<never>((_, reject) => {
    fail = reject;
  });
  setTimeout(() => {
    isAsked = true;
  }, 20);
  const error = await untilStopped(
    stoppedAt(() => isAsked),
    work,
  ).catch(stoppedBy);
  expect(error.signal).toBe("SIGHUP");
  // An unhandled rejection would fail this file.
  fail(new Error("too late"));
  await new Promise(setImmediate);
  expect(() => stoppedBy(new Error("another"))).toThrow("another");
});

it("breathing lets events in first, then looks for a stop", async () => {
  let isAsked = false;
  setImmediate(() => {
    isAsked = true;
  });
  await expect(breathe(stoppedAt(() => isAsked))).rejects.toBeInstanceOf(Stopped);
  await breathe(silentReporter);
});

it("a paced loop lets timers in while it works, and not at each turn", async () => {
  let ticks = 0;
  const clock = setInterval(() => ticks++, 1);
  const turn = pacer();
  let pauses = 0;
  const end = performance.now() + 400;
  while (performance.now() < end) {
    const pause = turn();
    if (pause !== undefined) pauses++;
    await pause;
  }
  clearInterval(clock);
  expect(ticks).toBeGreaterThan(1);
  expect(pauses).toBeGreaterThan(1);
  // Once in 50 ms.
  expect(pauses).toBeLessThanOrEqual(8);
});
