/**
 * How many processors this process may use, and how many of them others leave it. Linux says both in files; elsewhere only their number
 * is known.
 */
import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import path from "node:path";

/** What limits a process. */
export interface Allowance {
  /** Processors that it may run on, by its affinity. */
  readonly processors: number;
  /** Processors' time a second that its control group may spend, such as 1.5; undefined without a limit. */
  readonly quota: number | undefined;
}

export type ReadText = (file: string) => string | undefined;

export function readAllowance(read: ReadText = readIfThere): Allowance {
  return { processors: availableParallelism(), quota: readQuota(read) };
}

/**
 * The tightest limit of the process's control group and those around it, in processors.
 * Source: Linux's Documentation/admin-guide/cgroup-v2.rst (cpu.max), and scheduler/sched-bwc.rst for version 1
 */
export function readQuota(read: ReadText = readIfThere): number | undefined {
  const groups = (read("/proc/self/cgroup") ?? "").split("\n").map((line) => line.split(":"));
  const limits = groups.flatMap(([, controllers, group]) => {
    if (group === undefined) return [];
    // Version 2 has one hierarchy and names no controllers.
    if (controllers === "") return withParents(group).map((one) => limitV2(read, path.join("/sys/fs/cgroup", one)));
    if (!controllers.split(",").includes("cpu")) return [];
    return withParents(group).map((one) => limitV1(read, path.join("/sys/fs/cgroup/cpu", one)));
  });
  const known = limits.filter((limit) => limit !== undefined);
  return known.length === 0 ? undefined : Math.min(...known);
}

/** "/a/b" → "/a/b", "/a", "/" */
function withParents(group: string): string[] {
  return group === "/" ? ["/"] : [group, ...withParents(path.dirname(group))];
}

function limitV2(read: ReadText, folder: string): number | undefined {
  const [quota, period] = (read(path.join(folder, "cpu.max")) ?? "").trim().split(" ").map(Number);
  return share(quota, period);
}

function limitV1(read: ReadText, folder: string): number | undefined {
  const [quota, period] = ["quota", "period"].map((what) => Number(read(path.join(folder, `cpu.cfs_${what}_us`))));
  return share(quota, period);
}

/** Of "max" (no number), or −1 in version 1, none. */
function share(quota: number, period: number): number | undefined {
  return quota > 0 && period > 0 ? quota / period : undefined;
}

/** What the processors have done since the machine started, in ticks; of this process in microseconds. */
export interface Usage {
  /** Of all processes, by processor: busy and in all. */
  readonly ticks: readonly { readonly busy: number; readonly all: number }[];
  readonly own: number;
  readonly ms: number;
}

export function readUsage(read: ReadText = readIfThere): Usage {
  const lines = (read("/proc/stat") ?? "").split("\n").filter((line) => /^cpu\d/.test(line));
  const ticks = lines.map((line) => {
    const [user, nice, system, idle, waiting, ...interrupts] = line.split(/\s+/).slice(1, 9).map(Number);
    const busy = interrupts.reduce((sum, one) => sum + one, user + nice + system);
    return { busy, all: busy + idle + waiting };
  });
  const { user, system } = process.cpuUsage();
  return { ticks, own: user + system, ms: performance.now() };
}

/**
 * How many processors others kept busy between two readings, such as 1.3; undefined where that is not known, or too little time has passed
 * to tell: a tick is 10 ms.
 */
export function busyBetween(before: Usage, after: Usage): number | undefined {
  const [from, to] = [before.ticks, after.ticks];
  const passed = to.map((one, i) => one.all - (from[i]?.all ?? 0));
  if (from.length !== to.length || to.length === 0 || Math.min(...passed) < 5) return undefined;
  const all = to.reduce((sum, one, i) => sum + (one.busy - from[i].busy) / passed[i], 0);
  const own = (after.own - before.own) / 1000 / (after.ms - before.ms);
  return Math.max(0, all - own);
}

function readIfThere(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return undefined; // not Linux, or not said
  }
}
