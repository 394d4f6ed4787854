import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { cutFile, LogFile } from "../../src/files/log-file.ts";
import { MetricLog, readMetrics } from "../../src/run/metric-log.ts";
import { decodeEvents } from "../formats/decode-events.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let dir: string;
beforeEach((context) => {
  dir = temporaryFolder(context.onTestFinished);
});

describe("readMetrics", () => {
  it("reads what was logged, with its time", () => {
    const before = Date.now() / 1000;
    const log = new MetricLog(dir);
    log.append({ epoch: 1, split: "train", accuracy: 0.5, loss: Number.NaN });
    log.append({ epoch: 1, split: "test", accuracy: 0.25 });
    log.close();
    const [train, test] = readMetrics(dir);
    expect(train).toEqual({ epoch: 1, split: "train", accuracy: 0.5, loss: Number.NaN, time: expect.any(Number) });
    expect(test).toMatchObject({ epoch: 1, split: "test", accuracy: 0.25 });
    expect(Math.abs(Number(train?.time) - before)).toBeLessThan(60);
  });

  it("leaves out a last line that was cut", () => {
    writeFileSync(join(dir, "metrics.jsonl"), '{"epoch":1,"split":"train"}\n{"epoch":2,"spl');
    expect(readMetrics(dir)).toEqual([{ epoch: 1, split: "train" }]);
  });

  it("gives the metrics of an older version their names of today", () => {
    const old = '{"epoch":2,"split":"test","sparsity":4,"variance":1.5,"unique_policies":7,"commonest_policy":0.25}';
    writeFileSync(join(dir, "metrics.jsonl"), `${old}\n`);
    const metrics = { sparsity: 4, patches_std: 1.5, distinct_masks: 7, commonest_mask: 0.25 };
    expect(readMetrics(dir)).toEqual([{ epoch: 2, split: "test", ...metrics }]);
  });

  it.each([
    ["nothing", "", 'must be a JSON object, got ""'],
    ["a list", "[1]", "must be a JSON object, got [1]"],
    ["half an epoch", '{"epoch":0.5,"split":"train"}', "epoch must be a whole number, got 0.5"],
    ["no split", '{"epoch":1}', "split must be text"],
    ["a nested value", '{"epoch":1,"split":"a","x":[1]}', "x must be a number, got 1"],
  ])("names the line that holds %s", (_, line, message) => {
    writeFileSync(join(dir, "metrics.jsonl"), `{"epoch":1,"split":"train"}\n${line}\n`);
    expect(() => readMetrics(dir)).toThrow(
      expect.objectContaining({ kind: "input", message: `${join(dir, "metrics.jsonl")}:2: ${message}` }),
    );
  });

  it("says what a folder without metrics is not", () => {
    expect(() => readMetrics(dir)).toThrow(
      `${join(dir, "metrics.jsonl")}: does not exist; give the --cv_dir of a training`,
    );
  });
});

describe("MetricLog", () => {
  it("has its own names in metrics.jsonl, and the reference's in the event file", () => {
    const log = new MetricLog(dir);
    log.append({ epoch: 1, split: "test", accuracy: 0.5, patches_std: 1.5, distinct_masks: 7, commonest_mask: 0.25 });
    log.close();
    const [line] = readFileSync(join(dir, "metrics.jsonl"), "utf8").split("\n");
    expect(Object.keys(JSON.parse(line))).toEqual([
      ...["epoch", "split", "accuracy", "patches_std", "distinct_masks", "commonest_mask", "time"],
    ]);
    const [events] = readdirSync(dir).filter((name) => name.startsWith("events."));
    expect(readFileSync(join(dir, events), "latin1").match(/test_[a-z_]+/g)).toEqual([
      ...["test_accuracy", "test_variance", "test_unique_policies", "test_commonest_policy"],
    ]);
  });

  it("has every number in a group of its metric too, steps and images beside them, and hyperparameters once", () => {
    const png = Uint8Array.of(1, 2, 3);
    const log = new MetricLog(
      dir,
      new Map<string, number | boolean | string>([
        ["lr", 0.5],
        ["turns", false],
        ["model", "R8"],
      ]),
    );
    log.appendStep({ step: 3, metrics: { loss: 2, reward: undefined } });
    log.append({ epoch: 1, split: "test", accuracy: 0.5, patches_std: 1.5 });
    log.appendImage(1, "examples/test", { width: 5, height: 2, png });
    log.close();
    new MetricLog(dir, new Map([["lr", 0.25]])).close();
    const [events] = readdirSync(dir).filter((name) => name.startsWith("events."));
    const [version, first, ...others] = decodeEvents(readFileSync(join(dir, events)));
    expect(version.fileVersion).toBe("brain.Event:2");
    expect(first.hyperparameters).toEqual({ lr: 0.5, turns: false, model: "R8" });
    const both = { test_accuracy: 0.5, "accuracy/test": 0.5, test_variance: 1.5, "patches_std/test": 1.5 };
    expect(others).toEqual([
      { wallTime: expect.any(Number), step: 3, scalars: { "loss/train_step": 2 } },
      { wallTime: expect.any(Number), step: 1, scalars: both },
      { wallTime: expect.any(Number), step: 1, scalars: {}, images: { "examples/test": png } },
    ]);
  });
});

describe("LogFile", () => {
  it("goes on at the end of a file, and can be cut", () => {
    const path = join(dir, "log");
    writeFileSync(path, "one\n");
    const log = new LogFile(path);
    log.append(new TextEncoder().encode("two\n"));
    log.sync();
    expect(log.length).toBe(8);
    log.close();
    expect(cutFile(path, 5)).toBe(true);
    expect(readFileSync(path, "utf8")).toBe("one\nt");
    expect(cutFile(path, 6)).toBe(false);
    expect(readFileSync(path, "utf8")).toBe("one\nt");
  });

  it.runIf(existsSync("/dev/full"))("reports a full disk with the bytes needed and free", () => {
    const log = new LogFile("/dev/full");
    expect(() => log.append(new Uint8Array(12))).toThrow(
      expect.objectContaining({
        kind: "system",
        message: expect.stringMatching(
          /^\/dev\/full: could not be written \(ENOSPC: no space left on device, write\); 12 bytes needed, \d+ free; free some space and run it again; continue a training with --resume$/,
        ),
      }),
    );
    log.close();
  });

  it("names a file that cannot be opened", () => {
    expect(() => new LogFile(dir)).toThrow(`${dir}: could not be opened (EISDIR: `);
    expect(() => cutFile(join(dir, "none"), 0)).toThrow(`${join(dir, "none")}: could not be cut (ENOENT: `);
  });
});
