/** Linux's counters of energy, in a folder that is made up as the kernel's documentation has it. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { openEnergy } from "../../src/compute/energy.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
const write = (zone: string, file: string, value: string | number) =>
  writeFileSync(join(folder, zone, file), `${value}\n`);

function makeZone(zone: string, name: string, microjoules: number): void {
  mkdirSync(join(folder, zone));
  write(zone, "name", name);
  write(zone, "energy_uj", microjoules);
  write(zone, "max_energy_range_uj", 10_000_000);
}

function meterOf() {
  const energy = openEnergy(folder);
  if ("why" in energy) throw new Error(energy.why);
  return energy.meter;
}

beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

it("adds up the packages of a machine, and neither what lies in them nor what holds them", () => {
  makeZone("intel-rapl:0", "package-0", 1_000_000);
  makeZone("intel-rapl:1", "package-1", 0);
  makeZone("intel-rapl:2", "psys", 0);
  makeZone("intel-rapl:0:0", "core", 0);
  const meter = meterOf();
  write("intel-rapl:0", "energy_uj", 1_500_000);
  write("intel-rapl:1", "energy_uj", 2_000_000);
  for (const zone of ["intel-rapl:2", "intel-rapl:0:0"]) write(zone, "energy_uj", 7_000_000);
  expect(meter.joules()).toBeCloseTo(0.5 + 2, 9);
  write("intel-rapl:1", "energy_uj", 2_250_000);
  expect(meter.joules()).toBeCloseTo(0.25, 9);
});

it("goes on where a counter has begun anew", () => {
  makeZone("intel-rapl:0", "package-0", 9_500_000);
  const meter = meterOf();
  write("intel-rapl:0", "energy_uj", 250_000);
  // 0.5 J up to its end at 10 J, and 0.25 J behind it.
  expect(meter.joules()).toBeCloseTo(0.75, 9);
});

it("says why there is none", () => {
  const none = { why: `this system counts no processor's energy in ${folder}` };
  expect(openEnergy(folder)).toEqual(none);
  makeZone("intel-rapl:0", "psys", 0);
  expect(openEnergy(folder)).toEqual(none);
  expect(openEnergy(join(folder, "missing"))).toEqual({ why: expect.stringContaining("missing") });
  mkdirSync(join(folder, "intel-rapl:1"));
  write("intel-rapl:1", "name", "package-0");
  expect(openEnergy(folder)).toEqual({ why: `${folder}: ENOENT` });
});
