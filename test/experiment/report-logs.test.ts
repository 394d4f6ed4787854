/** A report refuses a run whose logs have changed, before it evaluates any. */
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { reportRuns } from "../../src/experiment/report-runs.ts";
import { reportSchema } from "../../src/options/report-options.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { memoryData, refusal, SmallRuns } from "../training/small-runs.ts";

const runs = new SmallRuns();

const notes: string[] = [];
const reporter = { ...silentReporter, note: (text: string) => void notes.push(text) };

it("names the log, though nothing could be evaluated without the data", async () => {
  await runs.train("classifier_training", "hr", { max_epochs: 1 }, { data: memoryData() });
  const out = runs.at("page.html");
  // A run that is named twice is one, and has its short name.
  const named = [runs.at("hr"), `${runs.at("hr")}/`];
  const report = () => reportRuns(named, reportSchema.parse({ out, threads: 1 }), "report", reporter);
  expect((await refusal(report)).message).not.toContain("metrics.jsonl");
  const log = runs.at("hr", "metrics.jsonl");
  const whole = readFileSync(log, "utf8");
  const length = Buffer.byteLength(whole);
  const next = "restore it from a copy, or remove it to go on without it";
  for (const [changed, told] of [
    [whole.replace('"accuracy":0.', '"accuracy":1.'), `the first ${length} bytes must have the SHA-256 `],
    [whole.slice(0, whole.indexOf("\n") + 1), `must have the ${length} bytes that it had at the last checkpoint, got `],
    ["", `must have the ${length} bytes that it had at the last checkpoint, got 0; ${next}`],
  ]) {
    writeFileSync(log, changed);
    const { kind, message } = await refusal(report);
    expect([kind, message.startsWith(`${log}: ${told}`), message.endsWith(next)]).toEqual(["input", true, true]);
  }
  rmSync(log);
  expect((await refusal(report)).message).not.toContain("metrics.jsonl");
  const evaluated = "hr: evaluation";
  expect(notes).toEqual([evaluated, `${log}: is gone; the page has no learning curves of hr`, evaluated]);
  expect(existsSync(out)).toBe(false);
});
