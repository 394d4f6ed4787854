/** Stopping many ranks: a signal reaches them at different times, and one that ends by itself leaves the others waiting. */
import { loose, type Reporter, Stopped, type StopSignal } from "../utils/reporter.ts";
import type { ProcessGroup } from "./process-group.ts";

/** The reporter, for what a rank does by itself: between {@link together} of many ranks it hears of no stop. */
export function ownStops(reporter: Reporter, { size }: ProcessGroup): Reporter {
  return size === 1 ? reporter : { ...loose(reporter), stopping: () => undefined };
}

/** The first stop that a rank was asked for. */
export function firstStop(stops: readonly (StopSignal | undefined)[]): StopSignal | undefined {
  return stops.find((stop) => stop !== undefined);
}

/** The values of all ranks, in their order. @throws Stopped, on all of them, when one was asked to stop */
export function together<T>(group: ProcessGroup, reporter: Reporter, value: T): T[] {
  if (group.size === 1) return [value];
  const all = group.exchange({ value, stop: reporter.stopping() });
  const stop = firstStop(all.map((one) => one.stop));
  if (stop !== undefined) throw new Stopped(stop);
  return all.map((one) => one.value);
}
