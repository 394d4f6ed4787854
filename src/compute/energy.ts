/**
 * What processors use, as Linux tells it: running average power limit (RAPL), Documentation/power/powercap/powercap.rst. A package is a
 * processor with its caches, whatever it computes and for whom; the memory beside it is not part of it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** Where Linux has the counters. */
export const powercapFolder = "/sys/class/powercap";

/** A meter, or why there is none, as a half-sentence. */
export type Energy = { readonly meter: EnergyMeter } | { readonly why: string };

/** @param folder as {@link powercapFolder} is */
export function openEnergy(folder: string = powercapFolder): Energy {
  try {
    const packages = packagesIn(folder);
    if (packages.length === 0) return { why: `this system counts no processor's energy in ${folder}` };
    return { meter: new EnergyMeter(packages) };
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const isForbidden = code === "EACCES" || code === "EPERM";
    return { why: isForbidden ? `only root may read the counters in ${folder}` : `${folder}: ${code}` };
  }
}

/** All packages of a machine as one counter. */
export class EnergyMeter {
  readonly #packages: readonly { readonly folder: string; readonly range: number }[];
  /** Microjoules, by package. */
  #last: readonly number[];

  /** @param folders of packages. @throws what reading throws */
  constructor(folders: readonly string[]) {
    this.#packages = folders.map((folder) => ({ folder, range: readNumber(join(folder, "max_energy_range_uj")) }));
    this.#last = this.#read();
  }

  /** Joules since it was last asked, or made. A counter may have begun anew once in between, which takes minutes at least. */
  joules(): number {
    const [before, now] = [this.#last, this.#read()];
    this.#last = now;
    const used = now.map((value, i) => value - before[i] + (value < before[i] ? this.#packages[i].range : 0));
    return used.reduce((sum, one) => sum + one, 0) / 1e6;
  }

  #read(): number[] {
    return this.#packages.map(({ folder }) => readNumber(join(folder, "energy_uj")));
  }
}

/** Zones within a package are counted in it, and "psys" counts the packages again. */
function packagesIn(folder: string): string[] {
  const zones = namesIn(folder).filter((name) => /^intel-rapl:\d+$/.test(name));
  return zones.map((zone) => join(folder, zone)).filter((zone) => readText(join(zone, "name")).startsWith("package"));
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch {
    return []; // not Linux, or a processor or a virtual machine that tells nothing
  }
}

function readText(file: string): string {
  return readFileSync(file, "utf8").trim();
}

function readNumber(file: string): number {
  return Number(readText(file));
}
