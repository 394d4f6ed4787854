/**
 * A resumed run needs nothing but its own folder: whatever became of the folders that it once started from, it ends with
 * the bits of a run that was never cut.
 */
import { rmSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import type { StageName } from "../../src/options/stage-options.ts";
import { linked, timelessMetrics } from "../e2e/runs.ts";
import { memoryData, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();

/** The networks that a stage may start from, in two sets: of one seed and of another. */
beforeAll(async () => {
  for (const seed of [1, 2]) {
    const from = (name: string) => runs.at(`${name}${seed}`);
    const given = { seed, max_epochs: 1, lr: 0.05 };
    await runs.train("classifier_training", `hr${seed}`, given, { data });
    await runs.train("classifier_training", `lr${seed}`, { ...given, stream_id: "LR" }, { data });
    const policy = { ...given, lr: 1e-2, ckpt_hr_cl: from("hr"), curriculum: false };
    await runs.train("pretrain", `policy${seed}`, policy, { data });
  }
});

/** Puts the networks of a seed where the stage's flags name them, or takes them away. */
function place(flags: Record<string, string>, seed: number | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(flags).map(([flag, name]) => {
      rmSync(runs.at("from", name), { recursive: true, force: true });
      if (seed !== undefined) runs.copy(`${name}${seed}`, `from/${name}`);
      return [flag, runs.at("from", name)];
    }),
  );
}

/** All that a run ends with: its files by their hashes. */
function outcome(name: string) {
  const run = runs.at(name);
  const { files } = readState(runs.at(name, "last"));
  return { files, best: linked(run, "best"), metrics: timelessMetrics(run) };
}

describe.each<[StageName, Record<string, string>]>([
  ["pretrain", { ckpt_hr_cl: "hr" }],
  ["finetune", { load: "policy", ckpt_hr_cl: "hr" }],
  ["finetune2stream", { load: "policy", ckpt_hr_cl: "hr", ckpt_lr_cl: "lr" }],
])("%s, cut inside its first epoch", (stage, flags) => {
  beforeAll(async () => {
    await runs.train(stage, stage, { ...place(flags, 1), lr: 1e-2 }, { data });
  });

  it.each([
    ["hold other weights", 2],
    ["are gone", undefined],
  ])("ends as if it had not been, where the folders that it started from %s", async (what, seed) => {
    const name = `${stage} ${what}`;
    const { stopped } = await runs.train(
      stage,
      name,
      { ...place(flags, 1), lr: 1e-2 },
      { data, reporter: stopAfter(2) },
    );
    expect(stopped).toBe("SIGTERM");
    expect(linked(runs.at(name), "last")).toBe("ckpt_E_0_S_2");
    place(flags, seed);
    await runs.resume(stage, name, {}, { data });
    expect(outcome(name)).toEqual(outcome(stage));
  });

  it("would have ended otherwise with other weights", async () => {
    await runs.train(stage, `${stage} of others`, { ...place(flags, 2), lr: 1e-2 }, { data });
    expect(outcome(`${stage} of others`).metrics).not.toEqual(outcome(stage).metrics);
  });
});
