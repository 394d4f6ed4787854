/** What a run folder does with what it meets: names, leftovers, numbers that go on, logs and their lengths. */
import { appendFileSync, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { cutLogs, MetricLog, readMetrics } from "../../src/run/metric-log.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
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

/** A closed run with the given saves, none of which is the best. */
function runWith(...steps: number[]): void {
  const run = RunFolder.create(dir, config);
  for (const step of steps) run.save(save(step));
  run.close();
}

const checkpoint = (step: number, file = "") => join(dir, "checkpoints", save(step).name, file);
const damage = (step: number) => writeFileSync(checkpoint(step, "agent.safetensors"), "damaged");

describe("a new run", () => {
  it("makes the folders above its own, and a configuration that people can read", () => {
    dir = join(parent, "deep", "run");
    RunFolder.create(dir, config).close();
    const lines = readFileSync(join(dir, "config.json"), "utf8").split("\n");
    expect([lines.slice(0, 3), lines.slice(-2)]).toEqual([
      ["{", '  "format": 1,', '  "stage": "pretrain",'],
      ["}", ""],
    ]);
    expect(readdirSync(join(dir, "checkpoints"))).toEqual([]);
  });
});

describe("a save", () => {
  it.each(["", "1a", "a b", "a/b", ".a", "-a", "a.damaged", "a\n"])("refuses the name %j", (name) => {
    const run = RunFolder.create(dir, config);
    const error = refusal(() => run.save({ ...save(1), name }));
    expect(error.kind).toBe("internal");
    expect(error.message).toContain("save: the checkpoint's name must name a folder, got ");
    run.close();
  });

  it.each(["a", "Z", "a.b-c_1", "a.damaged2"])("takes the name %s", (name) => {
    const run = RunFolder.create(dir, config);
    expect(run.save({ ...save(1), name })).toBe(join(dir, "checkpoints", name));
    run.close();
  });

  it("is numbered, also after the run was resumed", () => {
    runWith(7, 5);
    const { run } = RunFolder.resume(dir, config);
    run.save(save(6));
    run.close();
    expect([7, 5, 6].map((step) => readState(checkpoint(step)).sequence)).toEqual([1, 2, 3]);
  });

  it("adds the next free number to a name that is taken", () => {
    const run = RunFolder.create(dir, config);
    expect([1, 1, 1].map((step) => run.save(save(step)))).toEqual(["", "_2", "_3"].map((end) => checkpoint(1) + end));
    run.close();
  });

  it("keeps as many as it was asked to, and the best beside them", () => {
    const run = RunFolder.create(dir, config, { keep: 4 });
    for (const step of [1, 2, 3, 4, 5, 6]) run.save(save(step, step === 2));
    run.close();
    // Four in all, of which the best is one.
    expect(readdirSync(join(dir, "checkpoints")).sort()).toEqual([2, 4, 5, 6].map((step) => save(step).name));
  });
});

describe("a run that is resumed", () => {
  it("must be there", () => {
    mkdirSync(dir);
    expect(refusal(() => RunFolder.resume(dir, config)).kind).toBe("input");
  });

  it("keeps three checkpoints unless it was asked to keep more", () => {
    runWith(1, 2, 3);
    const resumed = (keep: number | undefined, step: number) => {
      const { run } = RunFolder.resume(dir, config, keep === undefined ? {} : { keep });
      run.save(save(step));
      run.close();
      return readdirSync(join(dir, "checkpoints")).length;
    };
    expect([resumed(5, 4), resumed(undefined, 5)]).toEqual([4, 3]);
  });

  it("removes what a writer that was cut has left, and nothing else", () => {
    runWith(1);
    for (const name of [".patchdrop-tmp-last-1", "checkpoints/.patchdrop-tmp-ckpt-2", "notes"])
      mkdirSync(join(dir, name));
    RunFolder.resume(dir, config).run.close();
    expect(readdirSync(dir).some((name) => name.startsWith("."))).toBe(false);
    expect(readdirSync(join(dir, "checkpoints"))).toEqual([save(1).name]);
    expect(existsSync(join(dir, "notes"))).toBe(true);
  });

  it("makes the folder of checkpoints again", () => {
    runWith();
    rmSync(join(dir, "checkpoints"), { recursive: true });
    const { run } = RunFolder.resume(dir, config);
    run.save(save(1));
    run.close();
    expect(existsSync(checkpoint(1, "state.json"))).toBe(true);
  });

  it("says what the system refuses, and gives the folder free", () => {
    runWith();
    rmSync(join(dir, "checkpoints"), { recursive: true });
    writeFileSync(join(dir, "checkpoints"), "a file");
    const error = refusal(() => RunFolder.resume(dir, config));
    expect(error.kind).toBe("system");
    expect(error.message).toMatch(/\/run: could not be used \(EEXIST: .*\); check the disk and the path$/);
    expect(existsSync(join(dir, "run.lock"))).toBe(false);
  });

  it("does not pass over a checkpoint that the system does not let it read", () => {
    runWith(1, 2);
    rmSync(checkpoint(2, "agent.safetensors"));
    mkdirSync(checkpoint(2, "agent.safetensors"));
    const error = refusal(() => RunFolder.resume(dir, config));
    expect([error.kind, error.message]).toEqual([
      "system",
      expect.stringContaining("agent.safetensors: could not be read"),
    ]);
  });

  it("goes on from the newest whole one of several, and tells of each that is damaged", () => {
    runWith(1, 2, 3);
    for (const step of [2, 3]) damage(step);
    const { run, checkpoint: read, notes } = RunFolder.resume(dir, config);
    run.close();
    expect(read?.progress.epoch).toBe(1);
    const told = ({ name }: { name: string }) =>
      expect.stringMatching(new RegExp(`^checkpoint ${name} is damaged: .*; the run continues from ${save(1).name}$`));
    expect(notes).toEqual([told(save(3)), told(save(2))]);
    expect(readdirSync(join(dir, "checkpoints")).sort()).toEqual([
      save(1).name,
      `${save(2).name}.damaged`,
      `${save(3).name}.damaged`,
    ]);
  });

  it("sets a damaged checkpoint aside in the place of one that was before", () => {
    runWith(1, 2);
    for (let i = 0; i < 2; i++) {
      damage(2);
      const { run } = RunFolder.resume(dir, config);
      run.save(save(2));
      run.close();
    }
    expect(readdirSync(join(dir, "checkpoints")).sort()).toEqual([
      save(1).name,
      save(2).name,
      `${save(2).name}.damaged`,
    ]);
  });

  it("tells the faults of a damaged checkpoint in one line", () => {
    runWith(1, 2);
    damage(2);
    writeFileSync(checkpoint(2, "optimizer.safetensors"), "damaged");
    const { run, notes } = RunFolder.resume(dir, config);
    run.close();
    expect(notes).toHaveLength(1);
    expect(notes[0]).toMatch(
      /agent\.safetensors: must have .*; use another checkpoint; .*optimizer\.safetensors: must have /,
    );
  });

  it("names every checkpoint where none is whole", () => {
    runWith(1, 2);
    for (const step of [1, 2]) damage(step);
    const error = refusal(() => RunFolder.resume(dir, config));
    const places = [2, 1].map((step) => join(dir, "checkpoints", save(step).name, "agent.safetensors"));
    expect(error.faults.map(({ where }) => where)).toEqual([dir, ...places]);
    expect(error.kind).toBe("input");
  });
});

describe("the logs", () => {
  const events = (folder: string) => readdirSync(folder).filter((name) => name.startsWith("events"));

  it("name the machine, and begin with the version of their format", () => {
    mkdirSync(dir);
    const before = Math.floor(Date.now() / 1000);
    new MetricLog(dir).close();
    const [name] = events(dir);
    const [, seconds, host] = /^events\.out\.tfevents\.(\d+)\.(.+)$/.exec(name) ?? [];
    expect(host).toBe(hostname().replace(/[^\w.-]/g, "_"));
    expect(Math.abs(Number(seconds) - before)).toBeLessThanOrEqual(60);
    expect(decodeEvents(readFileSync(join(dir, name)))).toHaveLength(1);
  });

  it("go on in the newest event file, which gets no second beginning", () => {
    mkdirSync(dir);
    for (const name of ["events.out.tfevents.2.b", "events.out.tfevents.1.a", "events.out.tfevents.0.c", "events.txt"])
      writeFileSync(join(dir, name), "");
    for (const epoch of [1, 2]) {
      const log = new MetricLog(dir);
      log.append({ epoch, split: "train", accuracy: 0.5, model: "tiny" });
      log.close();
    }
    const older = ["events.out.tfevents.0.c", "events.out.tfevents.1.a"];
    expect(events(dir).sort()).toEqual([...older, "events.out.tfevents.2.b", "events.txt"]);
    expect(older.map((name) => readFileSync(join(dir, name)).length)).toEqual([0, 0]);
    const written = decodeEvents(readFileSync(join(dir, "events.out.tfevents.2.b")));
    // Text is no scalar, nor is the epoch, which is the step.
    expect(written.map(({ step, scalars }) => [step, scalars])).toEqual([
      [0, {}],
      [1, { train_accuracy: 0.5, "accuracy/train": 0.5 }],
      [2, { train_accuracy: 0.5, "accuracy/train": 0.5 }],
    ]);
  });

  it("tell their lengths by name", () => {
    mkdirSync(dir);
    const log = new MetricLog(dir);
    log.append({ epoch: 1, split: "train" });
    const { logs: lengths } = log.sync();
    log.close();
    const [name] = events(dir);
    const sizes = ["metrics.jsonl", name].map((file) => [file, readFileSync(join(dir, file)).length]);
    expect(lengths).toEqual(Object.fromEntries(sizes));
  });

  it("are cut to the lengths given, to nothing where there is none, and other files are left alone", () => {
    mkdirSync(dir);
    for (const name of ["metrics.jsonl", "events.out.tfevents.1.a", "events.out.tfevents.2.b", "config.json"]) {
      writeFileSync(join(dir, name), "0123456789");
    }
    const logs = { "metrics.jsonl": 4, "events.out.tfevents.1.a": 12, gone: 3, never: 0 };
    const lost = "shorter than at the last checkpoint; some of its lines are lost";
    expect(cutLogs(dir, { logs }).sort()).toEqual([
      `${join(dir, "events.out.tfevents.1.a")}: ${lost}`,
      `${join(dir, "gone")}: ${lost}`,
    ]);
    const text = (name: string) => readFileSync(join(dir, name), "utf8");
    expect(["metrics.jsonl", "events.out.tfevents.1.a", "events.out.tfevents.2.b", "config.json"].map(text)).toEqual([
      "0123",
      "0123456789",
      "",
      "0123456789",
    ]);
  });

  it("are read as numbers, those that are not finite as NaN", () => {
    mkdirSync(dir);
    appendFileSync(join(dir, "metrics.jsonl"), '{"epoch":0,"split":"test","loss":null,"model":"tiny"}\n');
    expect(readMetrics(dir)).toEqual([{ epoch: 0, split: "test", loss: Number.NaN, model: "tiny" }]);
    rmSync(join(dir, "metrics.jsonl"));
    const none = refusal(() => readMetrics(dir));
    expect(none.kind).toBe("input");
    mkdirSync(join(dir, "metrics.jsonl"));
    const folder = refusal(() => readMetrics(dir));
    expect([folder.kind, folder.message]).toEqual([
      "system",
      expect.stringMatching(/metrics\.jsonl: could not be read \(EISDIR: .*\); check the disk and the path$/),
    ]);
  });
});

describe("the networks of a save", () => {
  it("may have other names than the reference's", () => {
    const run = RunFolder.create(dir, config);
    run.save({ ...save(1), networks: new Map([["own", state(3)]]) });
    run.close();
    const { checkpoint: read, run: resumed } = RunFolder.resume(dir, config);
    resumed.close();
    expect(read?.networks).toEqual(new Map([["own", state(3)]]));
  });
});
