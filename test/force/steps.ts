/**
 * Steps of each stage, by the thousand: memory must stay within 16 MB of what it was after the first ones, and no tensor may
 * be left. A trial is 250 steps of one stage, the four in turn.
 *
 *     npx tsx test/force/steps.ts --count 1600 --seconds 36000
 */
import { liveHandles } from "../../src/native/call.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { type StageCase, stageCase } from "../training/cases.ts";
import { residentBytes, runStep } from "../training/repeated-step.ts";
import { given, type Trial, tryAll } from "./trials.ts";

const steps = 250;
/** Rounds of all stages within which the allocator settles. */
const warmUp = 2;
const mostGrowth = 16;

const run = given({ count: 24, seconds: 600 });
openLibtorch(findLibtorch(), { threads: 1, cuda: false });
const cpu = { device: "cpu", precision: "fp32" } as const;
const cases: readonly (readonly [string, StageCase])[] = [
  ["classifier_training", stageCase("classifier_training", { stream_id: "LR" }, cpu)],
  ["pretrain", stageCase("pretrain", { beta: 0.1, fill: "lr", clip: 1 }, cpu)],
  ["finetune", stageCase("finetune", { clip: 1 }, cpu)],
  ["finetune2stream", stageCase("finetune2stream", { two_stream_mix: "share", clip: 1 }, cpu)],
];

/** MiB after the warm-up, and tensors after the first steps of all. */
let settled: { mib: number; handles: number } | undefined;

/** What was found before the end of this process says nothing of its memory: there is no record to go on from. */
await tryAll("steps", { ...run, record: undefined }, (index): Trial => {
  const [what, prepared] = cases[index % cases.length];
  const round = Math.floor((index - run.from) / cases.length);
  for (let step = 0; step < steps; step++) runStep(prepared, index * steps + step);
  const now = { mib: residentBytes() / 2 ** 20, handles: liveHandles() };
  if (round < warmUp) {
    settled = now;
    return { what, outcome: "to warm up", inputs: steps };
  }
  const grown = now.mib - (settled?.mib ?? 0);
  const wrong =
    now.handles !== settled?.handles
      ? `${now.handles} tensors, not ${settled?.handles}`
      : grown > mostGrowth
        ? `${grown.toFixed(1)} MiB more`
        : undefined;
  return { what, outcome: wrong === undefined ? "flat" : "grown", wrong, inputs: steps, most: { "MiB more": grown } };
});
