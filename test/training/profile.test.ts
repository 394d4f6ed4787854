/** `--profile`: it says what a stage's time went to, over all its sessions, and changes nothing of what is learned. */
import { readFileSync, writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import type { StageName } from "../../src/options/stage-options.ts";
import { readProfile, writeProfile } from "../../src/run/stored-profile.ts";
import { profileBefore, storeSession } from "../../src/training/stage-profile.ts";
import type { RunTimes } from "../../src/utils/profile.ts";
import { linked, timelessMetrics } from "../e2e/runs.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { listener, memoryData, SmallRuns, stopAfter } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();

beforeAll(async () => {
  const given = { max_epochs: 1, lr: 0.05 };
  await runs.train("classifier_training", "hr", given, { data });
  await runs.train("classifier_training", "lr", { ...given, stream_id: "LR" }, { data });
  await runs.train(
    "pretrain",
    "policy",
    { ...given, lr: 1e-2, ckpt_hr_cl: runs.at("hr"), curriculum: false },
    { data },
  );
});

/** All that a run ends with: its files by their hashes. */
function outcome(name: string) {
  const { files } = readState(runs.at(name, "last"));
  return { files, best: linked(runs.at(name), "best"), metrics: timelessMetrics(runs.at(name)) };
}

const callsOf = ({ kinds }: RunTimes) => Object.fromEntries(kinds.map(({ kind, calls }) => [kind, calls]));

/** 24 images in two epochs of three steps, each with a test and a save. */
const everyStage = {
  ...{ normalizing: 6, backward: 6, optimizer: 6, step: 6 },
  // Each step's batch, what comes after it, and the end of each epoch.
  "reading images": 14,
  // After each step, and at the end of each epoch.
  metrics: 8,
  test: 2,
  // What is checked, and what is written.
  saving: 4,
  other: 0,
};
const from = (...names: string[]) =>
  Object.fromEntries(names.map((name) => name.split("=")).map(([flag, name]) => [flag, runs.at(name)]));

describe.each<[StageName, Record<string, unknown>, Record<string, number>]>([
  // Its model is found in the data, these are opened, and the network is made.
  ["classifier_training", {}, { start: 3, "low resolution and masks": 6, classifier: 6 }],
  ["pretrain", { ...from("ckpt_hr_cl=hr"), estimator: "leave_one_out", curriculum: false }, { start: 3, policy: 6 }],
  ["pretrain", { ...from("ckpt_hr_cl=hr"), estimator: "values", reward: "priced" }, { start: 3, policy: 6 }],
  // The sampled masks and the greedy ones.
  [
    "finetune",
    from("load=policy", "ckpt_hr_cl=hr"),
    { start: 3, policy: 6, classifier: 12, "low resolution and masks": 18 },
  ],
  [
    "finetune2stream",
    from("load=policy", "ckpt_hr_cl=hr", "ckpt_lr_cl=lr"),
    { start: 3, policy: 6, classifier: 12, "frozen classifier": 6, "low resolution and masks": 18 },
  ],
])("%s with %j", (stage, given, own) => {
  it("learns the same to the bit, and says what its time went to", async () => {
    const name = `${stage} ${given.estimator ?? ""}`;
    const options = { lr: 1e-2, ...given };
    const plain = await runs.train(stage, `${name} plain`, options, { data });
    expect(plain).not.toHaveProperty("profile");
    expect(readProfile(runs.at(`${name} plain`))).toBeUndefined();
    const { profile, stopped } = await runs.train(stage, `${name} timed`, { ...options, profile: true }, { data });
    expect(stopped).toBeUndefined();
    expect(outcome(`${name} timed`)).toEqual(outcome(`${name} plain`));
    const calls = callsOf(profile!);
    expect(calls).toMatchObject({ ...everyStage, ...own });
    // Four sampled masks, or two nested ones, are judged in each step, except where all images have the same again.
    if (stage === "pretrain") {
      expect(calls["frozen classifier"]).toBeGreaterThan(0);
      expect(calls["frozen classifier"]).toBeLessThanOrEqual(6 * (given.estimator === "values" ? 2 : 4));
      expect(calls["low resolution and masks"]).toBe(6 + calls["frozen classifier"]);
    } else expect(Object.keys(calls).sort()).toEqual(Object.keys({ ...everyStage, ...own }).sort());
    expect(profile).toMatchObject({
      sessions: 1,
      training: { device: "cpu", threads: 1, precision: "fp32", images: 48 },
    });
    const stored = readProfile(runs.at(`${name} timed`))!;
    expect(callsOf(stored)).toEqual(calls);
    const sum = stored.kinds.reduce((all, { seconds }) => all + seconds, 0);
    expect(sum).toBeCloseTo(stored.seconds, 4);
  });
});

it("is kept over sessions: a stopped one, and those that go on", async () => {
  const stopped = await runs.train("classifier_training", "cut", { profile: true }, { data, reporter: stopAfter(2) });
  expect(stopped.stopped).toBe("SIGTERM");
  expect(stopped.profile).toMatchObject({ sessions: 1, training: { images: 16 } });
  expect(callsOf(readProfile(runs.at("cut"))!)).toMatchObject({ backward: 2, optimizer: 2 });
  // Its own options ask for it.
  const { profile } = await runs.resume("classifier_training", "cut", {}, { data });
  expect(profile).toMatchObject({ sessions: 2, training: { images: 48 } });
  expect(callsOf(profile!)).toMatchObject({ backward: 6, optimizer: 6, test: 2 });
  expect(profile!.seconds).toBeGreaterThan(stopped.profile!.seconds);
  expect(readProfile(runs.at("cut"))?.sessions).toBe(2);
});

it("may be asked for, or no longer, when a run goes on", async () => {
  await runs.train("classifier_training", "later", {}, { data, reporter: stopAfter(2) });
  const more = { profile: true, max_epochs: 2 };
  // The third step of the first epoch, whose test is then stopped.
  const { profile } = await runs.resume("classifier_training", "later", more, { data, reporter: stopAfter(2) });
  expect(profile).toMatchObject({ sessions: 1, training: { images: 8 } });
  const bytes = readFileSync(runs.at("later", "profile.json"));
  expect(await runs.resume("classifier_training", "later", { profile: false }, { data })).not.toHaveProperty("profile");
  expect(readFileSync(runs.at("later", "profile.json"))).toEqual(bytes);
});

it("that is damaged is refused before anything is trained", async () => {
  await runs.train("classifier_training", "damaged", { profile: true }, { data, reporter: stopAfter(2) });
  const file = runs.at("damaged", "profile.json");
  writeFileSync(file, readFileSync(file, "utf8").replace('"sessions": 1', '"sessions": 2'));
  const before = linked(runs.at("damaged"), "last");
  await expect(runs.resume("classifier_training", "damaged", {}, { data })).rejects.toThrow(
    `${file}: does not match its own checksum; remove it: nothing else needs it`,
  );
  expect(linked(runs.at("damaged"), "last")).toBe(before);
  // Who does not ask for it need not repair it.
  await runs.resume("classifier_training", "damaged", { profile: false }, { data });
});

describe("a session", () => {
  const computer = { device: "cpu", threads: 2, precision: "fp32" } as const;
  const times = {
    seconds: 20,
    kinds: [
      { kind: "start", seconds: 2, calls: 1 },
      { kind: "backward", seconds: 9, calls: 3 },
      { kind: "test", seconds: 5, calls: 1 },
      { kind: "saving", seconds: 3, calls: 1 },
      { kind: "other", seconds: 1, calls: 0 },
    ],
  };

  it("has the speed of training without start, tests and saving, of all sessions together", (context) => {
    const folder = temporaryFolder(context.onTestFinished);
    // 9 + 1 seconds.
    const first = storeSession(folder, undefined, { times, images: 500, computer });
    expect(first).toEqual({ sessions: 1, ...times, training: { ...computer, images: 500, imagesPerSecond: 50 } });
    const second = { seconds: 30, kinds: [{ kind: "backward", seconds: 30, calls: 7 }] };
    const before = profileBefore(folder, computer, () => {});
    // 700 in 40 seconds.
    expect(storeSession(folder, before, { times: second, images: 200, computer })).toMatchObject({
      ...{ sessions: 2, seconds: 50 },
      training: { images: 700, imagesPerSecond: 17.5 },
    });
    expect(callsOf(readProfile(folder)!)).toMatchObject({ backward: 10, start: 1 });
  });

  it("without images or time has no speed", (context) => {
    const folder = temporaryFolder(context.onTestFinished);
    const idle = { seconds: 2, kinds: [{ kind: "start", seconds: 2, calls: 1 }] };
    expect(storeSession(folder, undefined, { times: idle, images: 0, computer }).training?.imagesPerSecond).toBe(0);
    expect(readProfile(folder)?.training?.imagesPerSecond).toBe(0);
  });

  it.each([
    [{ threads: 1 }, "1 thread, fp32 on cpu"],
    [{ precision: "bf16" as const }, "2 threads, bf16 on cpu"],
    [{ device: "cuda" }, "2 threads, fp32 on cuda"],
  ])("computed otherwise (%j) begins another profile, and says so", (change, words) => {
    const folder = runs.at("hr");
    const { reporter, notes } = listener();
    writeProfile(folder, { sessions: 1, ...times, training: { ...computer, images: 1, imagesPerSecond: 1 } });
    expect(profileBefore(folder, { ...computer, ...change }, reporter.note)).toBeUndefined();
    expect(notes).toEqual([`${folder}: its profile is of 2 threads, fp32 on cpu; a new one begins, of ${words}`]);
  });
});
