import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { checkpointName } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { rewriteState } from "../checkpoints/rewrite-state.ts";
import { decodeEvents } from "../formats/decode-events.ts";
import { refusal } from "../refusal.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { config, save, state } from "./example.ts";

let parent: string;
let dir: string;
beforeEach((context) => {
  parent = temporaryFolder(context.onTestFinished);
  dir = join(parent, "run");
});

/** A closed run with the given saves; `best` is the first one. */
function runWith(...steps: number[]): void {
  const run = RunFolder.create(dir, config);
  for (const step of steps) {
    run.log({ epoch: step, split: "train", accuracy: step / 8 });
    run.save(save(step, step === steps[0]));
  }
  run.close();
}

const checkpoint = (step: number, file = "") => join(dir, "checkpoints", save(step).name, file);

const eventsName = () => readdirSync(dir).find((name) => name.startsWith("events"))!;

/** Changes the first digit after `text` in a file of the run. */
function changeDigit(name: string, text: string): void {
  const bytes = readFileSync(join(dir, name));
  const isDigit = (byte: number) => byte >= 0x30 && byte <= 0x39;
  const at = bytes.indexOf(text) + text.length;
  const digit = at + bytes.subarray(at).findIndex(isDigit);
  bytes[digit] = bytes[digit] === 0x37 ? 0x38 : 0x37;
  writeFileSync(join(dir, name), bytes);
}

function flipByte(path: string): void {
  const bytes = readFileSync(path);
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
  writeFileSync(path, bytes);
}

describe("RunFolder.create", () => {
  it("writes the configuration and holds the folder", () => {
    const run = RunFolder.create(dir, config);
    const saved = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
    const { sha256, ...rest } = saved;
    expect(rest).toEqual({ format: 1, ...config, created: expect.stringMatching(/^\d{4}-\d\d-\d\dT.*Z$/) });
    expect(sha256).toBe(createHash("sha256").update(JSON.stringify(rest)).digest("hex"));
    expect(refusal(() => RunFolder.create(dir, config)).message).toBe(
      `${join(dir, "run.lock")}: is in use by process ${process.pid}; wait for it to end, or write elsewhere`,
    );
    run.close();
    expect(readdirSync(dir).sort()).toEqual([
      "checkpoints",
      "config.json",
      expect.stringMatching(/^events/),
      "metrics.jsonl",
    ]);
  });

  it("never overwrites a run, nor anything else", () => {
    runWith(1);
    const error = refusal(() => RunFolder.create(dir, config));
    expect(error.exitCode).toBe(8);
    expect(error.message).toBe(
      `${dir}: the folder must be new or empty; it holds a run, which is never overwritten; ` +
        "continue it with --resume, or give another folder (--cv_dir; of patchdrop run: --out)",
    );
    writeFileSync(join(parent, "thesis.txt"), "");
    expect(refusal(() => RunFolder.create(parent, config)).message).toBe(
      `${parent}: the folder must be new or empty; what it holds is never overwritten; give another folder (--cv_dir; of patchdrop run: --out)`,
    );
  });

  it("takes an empty folder, and names one that cannot be made", () => {
    mkdirSync(dir);
    RunFolder.create(dir, config).close();
    const error = refusal(() => RunFolder.create(join(dir, "config.json/sub"), config));
    expect(error.exitCode).toBe(5);
    expect(error.message).toMatch(
      /config\.json\/sub: could not be made \(ENOTDIR: .*\); a name on the way to it is a file: give another folder$/,
    );
  });
});

describe("RunFolder.save", () => {
  it("writes a checkpoint whose files and checksums are all there", () => {
    runWith(3);
    const listed = JSON.parse(readFileSync(checkpoint(3, "state.json"), "utf8"));
    expect(readdirSync(checkpoint(3)).sort()).toEqual([
      "agent.safetensors",
      "optimizer.safetensors",
      "resnet_hr.safetensors",
      "state.json",
    ]);
    for (const file of ["agent.safetensors", "optimizer.safetensors", "resnet_hr.safetensors"]) {
      const bytes = readFileSync(checkpoint(3, file));
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      expect(listed.files[file]).toEqual({ bytes: bytes.length, sha256 });
    }
    expect(listed.progress).toEqual(save(3).progress);
    expect(listed.config.stage).toBe("pretrain");
    for (const name of ["metrics.jsonl", eventsName()]) {
      const bytes = readFileSync(join(dir, name));
      expect(listed.logs[name]).toBe(bytes.length);
      expect(listed.logHashes[name]).toBe(createHash("sha256").update(bytes).digest("hex"));
    }
  });

  it("points best and last by relative links, so that a run folder can be moved", () => {
    runWith(1, 2);
    expect(readlinkSync(join(dir, "best"))).toBe("checkpoints/ckpt_E_1_A_0.500_R_0.25");
    expect(readlinkSync(join(dir, "last"))).toBe("checkpoints/ckpt_E_2_A_0.500_R_0.25");
    const moved = join(parent, "moved");
    cpSync(dir, moved, { recursive: true, verbatimSymlinks: true });
    rmSync(dir, { recursive: true });
    expect(openCheckpoint(moved).progress.epoch).toBe(1);
  });

  it("keeps the newest three, and best", () => {
    runWith(1, 2, 3, 4, 5);
    const names = readdirSync(join(dir, "checkpoints")).sort();
    expect(names).toEqual([1, 4, 5].map((step) => save(step).name));
  });

  it("never keeps fewer than two", () => {
    const run = RunFolder.create(dir, config, { keep: 0 });
    for (const step of [1, 2, 3]) run.save(save(step, true));
    run.close();
    expect(readdirSync(join(dir, "checkpoints")).sort()).toEqual([2, 3].map((step) => save(step).name));
  });

  it("does not overwrite a checkpoint of the same name", () => {
    runWith(1);
    const { run } = RunFolder.resume(dir, config);
    expect(run.save(save(1))).toBe(`${checkpoint(1)}_2`);
    run.close();
    expect(readlinkSync(join(dir, "last"))).toBe("checkpoints/ckpt_E_1_A_0.500_R_0.25_2");
  });

  it("refuses what a file cannot hold, as a bug of ours", () => {
    const run = RunFolder.create(dir, config);
    const nan = { ...save(1), progress: { best: { reward: Number.NEGATIVE_INFINITY } } };
    expect(refusal(() => run.save(nan)).message).toBe(
      "progress.best.reward: must be finite to be saved as JSON, got -Infinity",
    );
    const network = { ...save(1), networks: new Map([["../agent", state(1)]]) };
    expect(refusal(() => run.save(network)).message).toBe(
      "checkpoint: a network's name must name a file, got ../agent",
    );
    const optimizer = { ...save(1), networks: new Map([["optimizer", state(1)]]) };
    expect(refusal(() => run.save(optimizer)).kind).toBe("internal");
    expect(refusal(() => run.save({ ...save(1), name: "../up" })).message).toBe(
      "save: the checkpoint's name must name a folder, got ../up",
    );
    run.close();
    expect(readdirSync(join(dir, "checkpoints"))).toEqual([]);
  });

  it("names checkpoints as the reference does", () => {
    expect(checkpointName({ epoch: 2, step: 0, tested: { accuracy: 0.6434, reward: -0.126 } })).toBe(
      "ckpt_E_2_A_0.643_R_-0.13",
    );
    expect(checkpointName({ epoch: 3, step: 0, tested: { accuracy: 1 } })).toBe("ckpt_E_3_A_1.000_R_0.00");
    expect(checkpointName({ epoch: 12, step: 300 })).toBe("ckpt_E_12_S_300");
    expect(checkpointName({ epoch: 12, step: 0 })).toBe("ckpt_E_12");
  });
});

describe("RunFolder.resume", () => {
  it("gives back what was saved last, every part of it", () => {
    runWith(1, 2);
    const { run, checkpoint: read, notes } = RunFolder.resume(dir, config);
    run.close();
    expect(notes).toEqual([]);
    const { networks, optimizer, progress } = save(2);
    expect(read).toMatchObject({ path: checkpoint(2), networks, optimizer, progress, config });
  });

  it("starts from the beginning where no checkpoint was made, without old lines", () => {
    const first = RunFolder.create(dir, config);
    first.log({ epoch: 0, split: "train", accuracy: 0.1 });
    first.close();
    const { run, checkpoint: read, notes } = RunFolder.resume(dir, config);
    expect([read, notes]).toEqual([undefined, []]);
    run.log({ epoch: 0, split: "train", accuracy: 0.2 });
    run.close();
    expect(readMetrics(dir).map(({ accuracy }) => accuracy)).toEqual([0.2]);
  });

  it("cuts both logs back to the checkpoint, so that nothing is there twice", () => {
    runWith(1, 2);
    appendFileSync(join(dir, "metrics.jsonl"), '{"epoch":3,"split":"train"}\n{"epoch":4,"spl');
    const events = join(dir, readdirSync(dir).find((name) => name.startsWith("events")) as string);
    appendFileSync(events, "half a record");
    const { run } = RunFolder.resume(dir, config);
    run.log({ epoch: 3, split: "test", accuracy: 0.75, reward: -1, S: 8.5 });
    run.close();
    expect(readMetrics(dir).map(({ epoch, split }) => `${epoch} ${split}`)).toEqual(["1 train", "2 train", "3 test"]);
    const test = { test_accuracy: 0.75, test_reward: -1, test_S: 8.5 };
    expect(decodeEvents(readFileSync(events)).map(({ step, scalars }) => [step, scalars])).toEqual([
      ...[0, 0].map((step) => [step, {}]), // the version, and the hyperparameters
      [1, { train_accuracy: 0.125, "accuracy/train": 0.125 }],
      [2, { train_accuracy: 0.25, "accuracy/train": 0.25 }],
      [3, { ...test, "accuracy/test": 0.75, "reward/test": -1, "S/test": 8.5 }],
    ]);
  });

  it("tells of a log that is shorter than it was", () => {
    runWith(1);
    writeFileSync(join(dir, "metrics.jsonl"), "");
    const { run, notes } = RunFolder.resume(dir, config);
    run.close();
    expect(notes).toEqual([
      `${join(dir, "metrics.jsonl")}: shorter than at the last checkpoint; some of its lines are lost`,
    ]);
  });

  it.each<[string, () => string, string]>([
    ["metrics.jsonl", () => "metrics.jsonl", "accuracy"],
    ["the event file", eventsName, "train_accuracy"],
  ])("refuses %s with one byte that has changed, and cuts nothing", (_, name, text) => {
    runWith(1, 2);
    appendFileSync(join(dir, "metrics.jsonl"), "half a li");
    const { logs, logHashes } = JSON.parse(readFileSync(checkpoint(2, "state.json"), "utf8"));
    const file = name();
    if (text === "accuracy") changeDigit(file, text);
    else flipByte(join(dir, file));
    const before = readFileSync(join(dir, file));
    const got = createHash("sha256").update(before.subarray(0, logs[file])).digest("hex");
    const error = refusal(() => RunFolder.resume(dir, config));
    expect([error.exitCode, error.message]).toEqual([
      3,
      `${join(dir, file)}: the first ${logs[file]} bytes must have the SHA-256 that they had at the last checkpoint, ` +
        `${logHashes[file]}, got ${got}; restore it from a copy, or remove it to go on without it`,
    ]);
    expect(readFileSync(join(dir, file))).toEqual(before);
    expect(readFileSync(join(dir, "metrics.jsonl"), "utf8").endsWith("half a li")).toBe(true);
    expect(existsSync(join(dir, "run.lock"))).toBe(false);
    rmSync(join(dir, file));
    const { run, notes } = RunFolder.resume(dir, config);
    run.save(save(3));
    run.close();
    expect(notes).toEqual([`${join(dir, file)}: shorter than at the last checkpoint; some of its lines are lost`]);
    RunFolder.resume(dir, config).run.close();
  });

  it.each([
    ["an option", "lr"],
    ["a date", "created"],
  ])("refuses a configuration with one digit of %s that has changed", (_, text) => {
    runWith(1);
    changeDigit("config.json", `"${text}"`);
    const error = refusal(() => RunFolder.resume(dir, config));
    expect([error.exitCode, error.message]).toEqual([
      3,
      `${join(dir, "config.json")}: does not match its own checksum; ` +
        "restore it: state.json of a checkpoint holds the same as config; or name a checkpoint by itself, such as " +
        join(dir, "checkpoints", "ckpt_E_1_A_0.500_R_0.25"),
    ]);
  });

  it("takes the logs and the configuration of an older version, which have no hashes", () => {
    runWith(1);
    rewriteState(checkpoint(1), (state) => {
      delete (state as Partial<Record<"logHashes", unknown>>).logHashes;
    });
    changeDigit("metrics.jsonl", "accuracy");
    const { sha256: _, ...older } = JSON.parse(readFileSync(join(dir, "config.json"), "utf8"));
    writeFileSync(join(dir, "config.json"), JSON.stringify(older));
    const { run, notes } = RunFolder.resume(dir, config);
    expect(notes).toEqual([]);
    run.save(save(2));
    run.close();
    // From then on it has them.
    changeDigit("metrics.jsonl", "accuracy");
    expect(refusal(() => RunFolder.resume(dir, config)).message).toContain("metrics.jsonl: the first ");
  });

  it("goes on after other options that change nothing, cut before its next save", () => {
    runWith(1);
    const other = { ...config, options: { ...config.options, cv_dir: "elsewhere" } };
    RunFolder.resume(dir, other).run.close();
    RunFolder.resume(dir, config).run.close();
  });

  it("refuses other options and other data, all of them listed", () => {
    runWith(1);
    const other = {
      ...config,
      stage: "finetune",
      options: {
        ...config.options,
        lr: 0.01,
        cv_dir: "elsewhere",
        schedule: { epochs: [150], factor: 0.1 },
        alpha: 0.8,
      },
      dataset: { ...config.dataset, fingerprint: "cd34" },
    };
    const error = refusal(() => RunFolder.resume(dir, other));
    expect(error.exitCode).toBe(8);
    expect(error.message.split("\n")).toEqual([
      `${dir}: must be resumed with its own options and data; give the old values, or start another run in another folder (--cv_dir; of patchdrop run: --out)`,
      '  stage: "pretrain" → "finetune"',
      "  lr: 0.001 → 0.01",
      "  schedule.epochs: [150,250] → [150]",
      '  dataset.fingerprint: "ab12" → "cd34"',
      "  alpha: (none) → 0.8",
    ]);
    RunFolder.resume(dir, config).run.close(); // the refusal gave the lock back
  });

  it("notes other versions", () => {
    runWith(1);
    const { run, notes } = RunFolder.resume(dir, { ...config, versions: { ...config.versions, libtorch: "2.10.0" } });
    run.close();
    expect(notes).toEqual(['libtorch: "2.9.0" → "2.10.0"; the resumed run may differ in its last bits']);
  });

  it("refuses while another process runs, and takes a dead one's place", () => {
    runWith(1);
    const lock = join(dir, "run.lock");
    writeFileSync(lock, JSON.stringify({ pid: process.ppid, host: hostname(), start: null, token: "t" }));
    expect(refusal(() => RunFolder.resume(dir, config)).message).toContain(`in use by process ${process.ppid};`);
    const { pid } = spawnSync(process.execPath, ["-e", ""]);
    writeFileSync(lock, JSON.stringify({ pid, host: hostname(), start: null, token: "t" }));
    RunFolder.resume(dir, config).run.close();
    expect(existsSync(lock)).toBe(false);
  });

  it("refuses a folder without a run, and a configuration that is none", () => {
    mkdirSync(dir);
    expect(refusal(() => RunFolder.resume(dir, config)).message).toBe(
      `${dir}: there is no run to resume (no config.json); leave out --resume to start one, or give the --cv_dir of a run`,
    );
    writeFileSync(join(dir, "config.json"), "{");
    expect(refusal(() => RunFolder.resume(dir, config)).message).toMatch(
      /config\.json: must be JSON, got .*; restore it: state\.json of a checkpoint holds the same as config; or name a checkpoint by itself, such as .*checkpoints$/,
    );
    writeFileSync(join(dir, "config.json"), '{"format": 2, "dataset": {}}');
    const lines = refusal(() => RunFolder.resume(dir, config)).message.split("\n");
    expect(lines[0]).toMatch(/config\.json: format: .*1/);
    expect(lines).toContainEqual(
      expect.stringMatching(/config\.json: dataset: must be an object with name and finger/),
    );
  });

  it("goes on from the checkpoint before a damaged one, and says so", () => {
    runWith(1, 2);
    flipByte(checkpoint(2, "agent.safetensors"));
    const { run, checkpoint: read, notes } = RunFolder.resume(dir, config);
    expect(read?.progress.epoch).toBe(1);
    const name = save(2).name;
    expect(notes).toEqual([
      expect.stringMatching(
        new RegExp(
          `^checkpoint ${name} is damaged: .*/${name}/agent.safetensors: must have the SHA-256 [0-9a-f]{64}, ` +
            `got [0-9a-f]{64}; use another checkpoint; the run continues from ${save(1).name}$`,
        ),
      ),
    ]);
    expect(readlinkSync(join(dir, "last"))).toBe(`checkpoints/${save(1).name}`);
    expect(readMetrics(dir).map(({ epoch }) => epoch)).toEqual([1]);
    run.save(save(2)); // the name is free again
    run.close();
    expect(readdirSync(join(dir, "checkpoints")).sort()).toEqual([save(1).name, name, `${name}.damaged`]);
    expect(openCheckpoint(join(dir, "last")).progress.epoch).toBe(2);
  });

  it("moves best away from a damaged checkpoint", () => {
    const first = RunFolder.create(dir, config);
    first.save(save(1));
    first.save(save(2, true));
    first.close();
    rmSync(checkpoint(2), { recursive: true });
    const { run, notes } = RunFolder.resume(dir, config);
    run.close();
    expect(notes[0]).toContain(`checkpoint ${save(2).name} is damaged: `);
    expect(notes[0]).toContain("state.json: is missing; use another checkpoint; the run continues from ");
    expect(notes[1]).toBe(`the link "best" named the damaged ${save(2).name}; it now names ${save(1).name}`);
    expect(openCheckpoint(dir).progress.epoch).toBe(1);
  });

  it("uses a checkpoint that no link names yet, with a note", () => {
    runWith(1);
    rmSync(join(dir, "last"));
    const { run, checkpoint: read, notes } = RunFolder.resume(dir, config);
    run.close();
    expect(read?.progress.epoch).toBe(1);
    expect(notes).toEqual([`there was no link "last"; the run continues from ${save(1).name}`]);
  });

  it("refuses when no checkpoint is whole, and changes nothing", () => {
    runWith(1, 2);
    flipByte(checkpoint(1, "optimizer.safetensors"));
    writeFileSync(checkpoint(2, "state.json"), "{}");
    const metrics = readFileSync(join(dir, "metrics.jsonl"), "utf8");
    const error = refusal(() => RunFolder.resume(dir, config));
    expect(error.exitCode).toBe(3);
    expect(error.message).toContain(`${dir}: none of the run's checkpoints is whole; start a new run in another`);
    expect(error.faults.map(({ where }) => where)).toContain(checkpoint(1, "optimizer.safetensors"));
    expect(error.message).toContain(`\n${checkpoint(1, "optimizer.safetensors")}: must have the SHA-256`);
    expect(readFileSync(join(dir, "metrics.jsonl"), "utf8")).toBe(metrics);
    expect(readdirSync(join(dir, "checkpoints")).sort()).toEqual([save(1).name, save(2).name]);
  });
});

describe("openCheckpoint", () => {
  it("takes a run's best, else its last, or a checkpoint folder", () => {
    runWith(1, 2);
    expect(openCheckpoint(dir)).toMatchObject({ path: checkpoint(1), progress: save(1).progress, config });
    expect(openCheckpoint(dir).networks).toEqual(save(1).networks);
    expect(openCheckpoint(checkpoint(2)).progress.epoch).toBe(2);
    expect(openCheckpoint(join(dir, "last")).progress.epoch).toBe(2);
    rmSync(join(dir, "best"));
    expect(openCheckpoint(dir).progress.epoch).toBe(2);
  });

  it("opens a checkpoint folder that was sent alone", () => {
    runWith(1);
    cpSync(checkpoint(1), join(parent, "sent"), { recursive: true });
    expect(openCheckpoint(join(parent, "sent")).config.options).toEqual(config.options);
  });

  it("lists every file that is not as it was written", () => {
    runWith(1);
    writeFileSync(checkpoint(1, "agent.safetensors"), "short");
    rmSync(checkpoint(1, "resnet_hr.safetensors"));
    const bytes = JSON.parse(readFileSync(checkpoint(1, "state.json"), "utf8")).files["agent.safetensors"].bytes;
    const error = refusal(() => openCheckpoint(dir));
    expect(error.exitCode).toBe(3);
    expect(error.message.split("\n")).toEqual([
      `${checkpoint(1, "agent.safetensors")}: must have ${bytes} bytes, got 5; use another checkpoint`,
      `${checkpoint(1, "resnet_hr.safetensors")}: is missing; use another checkpoint`,
    ]);
  });

  it("notices a state that was changed, cut or made by another version", () => {
    runWith(1);
    const path = checkpoint(1, "state.json");
    const text = readFileSync(path, "utf8");
    writeFileSync(path, text.replace('"epoch": 1', '"epoch": 9'));
    expect(refusal(() => openCheckpoint(dir)).message).toBe(
      `${path}: does not match its own checksum; use another checkpoint`,
    );
    writeFileSync(path, text.slice(0, -20));
    expect(refusal(() => openCheckpoint(dir)).message).toMatch(
      /state\.json: must be JSON, got .*; use another checkpoint$/,
    );
    writeFileSync(path, text.replace('"format": 1', '"format": 2').replace("agent.safe", "../agent.safe"));
    const lines = refusal(() => openCheckpoint(dir)).message.split("\n");
    expect(lines[0]).toMatch(/state\.json: format: .*1/);
    expect(lines[1]).toMatch(/state\.json: files\.\.\.\/agent\.safetensors: /);
  });

  it("says what to give instead of a path that holds no checkpoint", () => {
    runWith(1);
    const anyFolder = "give the --cv_dir of a run or one of its checkpoints";
    expect(refusal(() => openCheckpoint(join(dir, "none"))).message).toBe(
      `${join(dir, "none")}: does not exist; ${anyFolder}`,
    );
    expect(refusal(() => openCheckpoint(checkpoint(1, "agent.safetensors"))).message).toBe(
      `${checkpoint(1, "agent.safetensors")}: a checkpoint is a folder; give ${checkpoint(1)}`,
    );
    expect(refusal(() => openCheckpoint(parent)).message).toBe(
      `${parent}: is neither a run folder (no config.json) nor a checkpoint (no state.json); ${anyFolder}`,
    );
    rmSync(join(dir, "best"));
    rmSync(join(dir, "last"));
    expect(refusal(() => openCheckpoint(dir)).message).toBe(
      `${dir}: the run folder has neither best nor last; give ${checkpoint(1)}`,
    );
    rmSync(checkpoint(1), { recursive: true });
    expect(refusal(() => openCheckpoint(dir)).message).toBe(
      `${dir}: the run has made no checkpoint yet; let it train longer`,
    );
    expect(refusal(() => openCheckpoint(dir)).exitCode).toBe(3);
  });
});

describe("readMetrics", () => {
  it("refuses numbers that have changed since the last checkpoint, and takes what came after it", () => {
    runWith(1, 2);
    appendFileSync(join(dir, "metrics.jsonl"), '{"epoch":3,"split":"train"}\n');
    expect(readMetrics(dir).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
    const whole = readFileSync(join(dir, "metrics.jsonl"));
    changeDigit("metrics.jsonl", "accuracy");
    expect(() => readMetrics(dir)).toThrow(
      expect.objectContaining({
        kind: "input",
        message: expect.stringMatching(/metrics\.jsonl: the first \d+ bytes must have/),
      }),
    );
    writeFileSync(join(dir, "metrics.jsonl"), whole);
    writeFileSync(checkpoint(2, "state.json"), "{");
    expect(readMetrics(dir).map(({ epoch }) => epoch)).toEqual([1, 2, 3]);
  });

  it("does not look at the event file, which it does not read", () => {
    runWith(1);
    flipByte(join(dir, eventsName()));
    expect(readMetrics(dir).map(({ epoch }) => epoch)).toEqual([1]);
  });
});
