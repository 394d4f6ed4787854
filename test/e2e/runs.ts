/** What a run folder holds, for tests that compare runs. */
import { readdirSync, readFileSync, realpathSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { type MetricRecord, readMetrics } from "../../src/run/metric-log.ts";

/** The folder name of the checkpoint that a link names. */
export function linked(run: string, link: "best" | "last"): string {
  return basename(realpathSync(join(run, link)));
}

/** The `safetensors` files of a checkpoint folder, by name. */
export function tensorFiles(checkpoint: string): Map<string, Buffer> {
  const names = readdirSync(checkpoint).filter((name) => name.endsWith(".safetensors"));
  return new Map(names.sort().map((name) => [name, readFileSync(join(checkpoint, name))]));
}

/** A run's logged numbers without those that tell the time. */
export function timelessMetrics(run: string): Omit<MetricRecord, "time" | "images_per_second">[] {
  return readMetrics(run).map(({ time: _, images_per_second: __, ...rest }) => rest);
}

/** All of a training's end that must be the same, cut or not, to the last bit and digit. */
export function outcome(run: string) {
  const saved = (link: "best" | "last") => {
    const { progress, files } = readState(join(run, link));
    const { seconds: _, ...position } = progress;
    const hashes = Object.fromEntries(Object.entries(files).map(([name, { sha256 }]) => [name, sha256]));
    return { name: linked(run, link), position, hashes };
  };
  const events = readdirSync(run).find((name) => name.startsWith("events.out.tfevents."));
  return {
    best: saved("best"),
    last: saved("last"),
    metrics: timelessMetrics(run),
    eventBytes: statSync(join(run, events!)).size,
  };
}

/** The test numbers that were logged for the epoch of a checkpoint such as `ckpt_E_2_A_0.400_R_0.10`. */
export function loggedTest(run: string, checkpoint: string): MetricRecord {
  const epoch = Number(/^ckpt_E_(\d+)_/.exec(checkpoint)?.[1]);
  const record = readMetrics(run).find((one) => one.split === "test" && one.epoch === epoch);
  if (record === undefined) throw new Error(`${run} logged no test of epoch ${epoch}`);
  return record;
}
