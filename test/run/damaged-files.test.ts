/** Files of a run and of an experiment with odd values in odd places: refused as the user's, never a bug of ours. */
import { cpSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, expect, it } from "vitest";
import { parse, stringify } from "yaml";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { isJsonObject, type JsonValue } from "../../src/files/json.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { Random } from "../../src/utils/random.ts";
import { sha256 } from "../../src/utils/sha256.ts";
import { damaged, expectRefusal, mutations } from "../fuzz.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { config, save } from "./example.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

const odd: readonly JsonValue[] = [
  ...[null, true, "", "x", "__proto__", "../..", "1e400", -1, 0, 0.5, 1e308, 2 ** 53, -(2 ** 31), [], [null], {}],
  ...[{ __proto__: 1 }, { length: -1 }, [[[]]], "\u0000", "é".repeat(300)],
];

/** A copy with one value, wherever it lies, in place of which another stands, or nothing. */
function withOdd(value: JsonValue, random: Random): JsonValue | undefined {
  const keys = typeof value === "object" && value !== null ? Object.keys(value) : [];
  if (keys.length === 0 || random.integer(6) === 0) {
    return random.integer(8) === 0 ? undefined : odd[random.integer(odd.length)];
  }
  const at = random.integer(keys.length);
  if (Array.isArray(value)) return value.map((one, i) => (i === at ? (withOdd(one, random) ?? null) : one));
  if (!isJsonObject(value)) return value;
  const changed = withOdd(value[keys[at]] ?? null, random);
  const { [keys[at]]: _, ...others } = value;
  return changed === undefined ? others : { ...others, [keys[at]]: changed };
}

function attempt(action: () => unknown): void {
  try {
    action();
  } catch (error) {
    expectRefusal(error);
  }
}

/** All that reads a run folder without a network. */
function readRun(run: string): void {
  attempt(() => openCheckpoint(run));
  attempt(() => readMetrics(run));
  attempt(() => RunFolder.resume(run, config).run.close());
}

it("a run's files, value by value and byte by byte", () => {
  const run = join(folder, "run");
  const made = RunFolder.create(run, config);
  for (const step of [1, 2]) {
    made.log({ epoch: step, split: "train", accuracy: step / 8 });
    made.save(save(step, step === 1));
  }
  made.close();
  const names = readdirSync(run, { recursive: true, encoding: "utf8" }).filter((name) =>
    /\.(json|jsonl|safetensors)$/.test(name),
  );
  const pristine = join(folder, "pristine");
  cpSync(run, pristine, { recursive: true, verbatimSymlinks: true });
  expect(names.length).toBeGreaterThan(6);
  const random = new Random(4, "run-fuzz");
  for (let n = 0; n < mutations / 100; n++) {
    const name = names[random.integer(names.length)];
    rmSync(run, { recursive: true });
    cpSync(pristine, run, { recursive: true, verbatimSymlinks: true });
    writeFileSync(join(run, name), changedFile(name, readFileSync(join(pristine, name)), random));
    readRun(run);
  }
});

/** With a checksum that fits, which would hide the rest otherwise. */
function changedFile(name: string, bytes: Buffer, random: Random): Buffer | string {
  if (!name.endsWith(".json") || random.integer(4) === 0) return damaged(bytes, random);
  const { sha256: _, ...rest } = JSON.parse(bytes.toString());
  const value = withOdd(rest, random) ?? null;
  return JSON.stringify(isJsonObject(value) ? { ...value, sha256: sha256(JSON.stringify(value)) } : value);
}

it("an experiment file, value by value and byte by byte", () => {
  const text = readFileSync(fileURLToPath(new URL("../../configs/quickstart.yaml", import.meta.url)));
  const whole = parse(text.toString()) as JsonValue;
  const file = join(folder, "experiment.yaml");
  const random = new Random(5, "experiment-fuzz");
  for (let n = 0; n < mutations / 50; n++) {
    const changed = stringify(withOdd(whole, random) ?? null);
    writeFileSync(file, random.integer(4) === 0 ? damaged(text, random) : changed);
    attempt(() => readExperiment(file, folder));
  }
});
