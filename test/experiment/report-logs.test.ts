/** A report refuses a run whose logs have changed, before it evaluates any. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { expect, it } from "vitest";
import { reportRuns } from "../../src/experiment/report-runs.ts";
import { reportSchema } from "../../src/options/report-options.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { memoryData, refusal, SmallRuns } from "../training/small-runs.ts";

const runs = new SmallRuns();

it("names the log, though nothing could be evaluated without the data", async () => {
  await runs.train("classifier_training", "hr", { max_epochs: 1 }, { data: memoryData() });
  const out = runs.at("page.html");
  const report = () => reportRuns([runs.at("hr")], reportSchema.parse({ out, threads: 1 }), "report", silentReporter);
  expect((await refusal(report)).message).not.toContain("metrics.jsonl");
  const log = runs.at("hr", "metrics.jsonl");
  writeFileSync(log, readFileSync(log, "utf8").replace('"accuracy":0.', '"accuracy":1.'));
  const { kind, message } = await refusal(report);
  expect([kind, message.startsWith(`${log}: the first `)]).toEqual(["input", true]);
  expect(existsSync(out)).toBe(false);
});
