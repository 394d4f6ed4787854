/** How many threads libtorch is given, where the user has not said it, and why. */
import { fault } from "../errors.ts";
import { type Allowance, busyBetween, readAllowance, readUsage, type Usage } from "./processors.ts";

/** More than any machine runs at once. A hundred thousand of libtorch's, or three thousand that decode, end the process. */
export const mostThreads = 1024;

/** For numbers that no schema has checked: of the environment, or of a program. @throws usage */
export function refuseMoreThreads(count: number, where: string): void {
  if (count > mostThreads) throw fault("usage", { where, rule: `must be at most ${mostThreads}`, got: count });
}

let atStart: Usage | undefined;

/** To be called as a program starts: from then on it is seen how busy others keep the processors. */
export function watchProcessors(): void {
  atStart ??= readUsage();
}

export interface ThreadChoice {
  readonly count: number;
  /** In words that follow "2 threads, "; empty where the environment says it. */
  readonly why: string;
}

/** What OMP_NUM_THREADS says, if that is a number above 0; of a list, as OpenMP allows, the first. */
export function threadsOfEnvironment({ OMP_NUM_THREADS: text = "" }: NodeJS.ProcessEnv): number | undefined {
  const said = Number.parseInt(text, 10);
  return said > 0 ? said : undefined;
}

/**
 * OMP_NUM_THREADS, else one thread for each processor that the process may use and that others leave it. All threads of an operator wait
 * for the last one, so that one that shares its processor holds up the others (docs/performance.md).
 * @param busy processors that others keep busy; undefined where that is not known
 */
export function chooseThreads(
  env: NodeJS.ProcessEnv = process.env,
  { processors, quota }: Allowance = readAllowance(),
  busy: number | undefined = atStart && busyBetween(atStart, readUsage()),
): ThreadChoice {
  const said = threadsOfEnvironment(env);
  if (said !== undefined) return { count: said, why: "" };
  const allowed = Math.min(processors, Math.ceil(quota ?? processors));
  const count = Math.max(1, allowed - Math.round(busy ?? 0));
  if (count < allowed) return { count, why: `since others keep ${busy?.toFixed(1)} of ${processors} processors busy` };
  if (count < processors) return { count, why: `since its control group may use ${quota} of ${processors} processors` };
  return { count, why: "one for each processor" };
}
