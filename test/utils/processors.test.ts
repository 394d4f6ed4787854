/** The limits that Linux's control groups set, as its documentation lays out their files, and what /proc/stat says. */
import { expect, it } from "vitest";
import { busyBetween, type ReadText, readQuota, readUsage } from "../../src/utils/processors.ts";

const from =
  (files: Record<string, string>): ReadText =>
  (file) =>
    files[file];

it("reads the quota of version 2, the tightest of the group and those around it", () => {
  const files = {
    "/proc/self/cgroup": "0::/pod/box\n",
    "/sys/fs/cgroup/pod/box/cpu.max": "max 100000\n",
    "/sys/fs/cgroup/pod/cpu.max": "150000 100000\n",
    "/sys/fs/cgroup/cpu.max": "800000 100000\n",
  };
  expect(readQuota(from(files))).toBe(1.5);
});

it("reads the quota of version 1, where −1 is none", () => {
  const files = {
    "/proc/self/cgroup": "9:name=systemd:/\n2:cpu,cpuacct:/box\n1:memory:/box\n",
    "/sys/fs/cgroup/cpu/box/cpu.cfs_quota_us": "50000\n",
    "/sys/fs/cgroup/cpu/box/cpu.cfs_period_us": "100000\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1\n",
    "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000\n",
  };
  expect(readQuota(from(files))).toBe(0.5);
});

it.each([
  ["nothing is said", {}],
  ["there is no limit", { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "max 100000\n" }],
  ["what is said is none", { "/proc/self/cgroup": "0::/\n", "/sys/fs/cgroup/cpu.max": "many\n" }],
])("knows no quota where %s", (_, files) => {
  expect(readQuota(from(files as Record<string, string>))).toBeUndefined();
});

/** One processor's line: user, nice, system, idle, waiting for input, interrupts, softer ones, stolen. */
const line = (n: number, user: number, idle: number) => `cpu${n} ${user} 0 0 ${idle} 0 0 0 0 0 0\n`;
const usage = (text: string, own: number, ms: number) => ({
  ...readUsage(from({ "/proc/stat": `cpu  1 2 3\n${text}` })),
  own,
  ms,
});

it("counts what others keep busy: all that is busy, less this process's own time", () => {
  const before = usage(line(0, 100, 0) + line(1, 100, 0), 0, 0);
  // In half a second one processor was busy all the time and the other for a half; 0.2 s of it are ours.
  const after = usage(line(0, 150, 0) + line(1, 125, 25), 200_000, 500);
  expect(busyBetween(before, after)).toBeCloseTo(1.5 - 0.4, 9);
});

it("does not know it from a few ticks, nor where nothing is said", () => {
  expect(busyBetween(usage(line(0, 0, 0), 0, 0), usage(line(0, 4, 0), 0, 40))).toBeUndefined();
  expect(busyBetween(usage("", 0, 0), usage("", 0, 500))).toBeUndefined();
});
