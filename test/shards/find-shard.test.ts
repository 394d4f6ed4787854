import { expect, it } from "vitest";
import { findShard } from "../../src/shards/find-shard.ts";
import { refusal } from "../refusal.ts";

const slurm = (id: number, [least, most, count]: readonly [number, number, number]) => ({
  SLURM_ARRAY_TASK_ID: String(id),
  SLURM_ARRAY_TASK_MIN: String(least),
  SLURM_ARRAY_TASK_MAX: String(most),
  SLURM_ARRAY_TASK_COUNT: String(count),
});

it.each([
  ["as given, whatever the batch system says", "3/12", slurm(0, [0, 1, 2]), [3, 12]],
  ["all where nothing is said", undefined, {}, [0, 1]],
  ["Kubernetes' indexed job", undefined, { JOB_COMPLETION_INDEX: "7", JOB_COMPLETIONS: "100" }, [7, 100]],
  ["Slurm's array", undefined, slurm(99, [0, 99, 100]), [99, 100]],
  ["AWS Batch's array", undefined, { AWS_BATCH_JOB_ARRAY_INDEX: "0", AWS_BATCH_JOB_ARRAY_SIZE: "2" }, [0, 2]],
])("is %s", (_, given, variables, [index, count]) => {
  expect(findShard(given, variables)).toEqual({ index, count });
});

it.each([
  ["12/12", {}, "--shard: must be I/N with I from 0 to N − 1, got 12/12"],
  [
    undefined,
    { JOB_COMPLETION_INDEX: "7" },
    "JOB_COMPLETIONS: must be a whole number, got nothing; set it, or give --shard I/N",
  ],
  [
    undefined,
    { JOB_COMPLETION_INDEX: "x", JOB_COMPLETIONS: "" },
    "JOB_COMPLETION_INDEX: must be a whole number, got x",
  ],
  // An array of tasks that are repeated, or that begins at 1.
  [undefined, slurm(7, [3, 7, 2]), "Slurm: an array must be 0-(N−1), so that N is known, got SLURM_ARRAY_TASK_MIN=3"],
  [undefined, slurm(1, [1, 100, 100]), "Slurm: an array must be 0-(N−1)"],
  [
    undefined,
    { AWS_BATCH_JOB_ARRAY_INDEX: "2", AWS_BATCH_JOB_ARRAY_SIZE: "2" },
    "AWS_BATCH_JOB_ARRAY_INDEX and AWS_BATCH_JOB_ARRAY_SIZE: must be I/N with I from 0 to N − 1, got 2 of 2",
  ],
])("refuses %s of %j", (given, variables, message) => {
  const error = refusal(() => findShard(given, variables));
  expect([error.kind, error.message]).toEqual(["usage", expect.stringContaining(message)]);
});
