/** Which checkpoint a run calls best, and the numbers in the checkpoints' names: both are those of the test. */
import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { convertCheckpoint } from "../../src/checkpoints/convert-checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { listCheckpoints } from "../../src/checkpoints/saved-checkpoints.ts";
import { asFloat32 } from "../../src/formats/safetensors.ts";
import { isTensor, readTorchFile, type TorchValue } from "../../src/formats/torch-file.ts";
import { type MetricRecord, readMetrics } from "../../src/run/metric-log.ts";
import { linked } from "../e2e/runs.ts";
import { memoryData, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();
const namesIn = (run: string) => listCheckpoints(runs.at(run)).map(({ name }) => name);

/** What was logged of one split, by epoch. */
function logged(run: string, split: "train" | "test"): Map<number, MetricRecord> {
  const records = readMetrics(runs.at(run)).filter((record) => record.split === split);
  return new Map(records.map((record) => [record.epoch, record]));
}

/** `ckpt_E_2_A_0.500_R_0.25`, from the numbers that were logged. */
function named({ epoch, accuracy, reward = 0 }: MetricRecord): string {
  return `ckpt_E_${epoch}_A_${Number(accuracy).toFixed(3)}_R_${Number(reward).toFixed(2)}`;
}
