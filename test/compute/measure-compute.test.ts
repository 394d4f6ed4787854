/** What tiny runs cost: which rows there are, and how much work each is. No time is expected of any machine. */
import { cpSync, existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { beforeAll, describe, expect, it, vi } from "vitest";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { packagedFolder } from "../../src/checkpoints/packaged.ts";
import { commandFlags } from "../../src/cli/flags.ts";
import { patchdropProgram } from "../../src/cli/program.ts";
import { type Compute, measureCompute, quantile } from "../../src/compute/measure-compute.ts";
import { readCompute } from "../../src/compute/stored-compute.ts";
import { reportRuns } from "../../src/experiment/report-runs.ts";
import { parseProfileOptions } from "../../src/options/profile-options.ts";
import { reportSchema } from "../../src/options/report-options.ts";
import { type Reporter, silentReporter, stopSignals } from "../../src/utils/reporter.ts";
import { exact, type Given, listener, SmallRuns } from "../training/small-runs.ts";

const runs = new SmallRuns();
let data_dir: string;

beforeAll(async () => {
  data_dir = await runs.makeFolder();
  const train = (name: string, more: Given) =>
    runs.train("classifier_training", name, { data_dir, max_epochs: 1, ...more });
  await train("hr", { arch: "patches" });
  await train("lr", { arch: "patches", stream_id: "LR" });
  await train("dense", {});
  const policy = { data_dir, model: undefined, max_epochs: 1 };
  await runs.train("pretrain", "policy", { ...policy, ckpt_hr_cl: runs.at("hr") });
  await runs.train("finetune2stream", "two", { ...policy, load: runs.at("policy"), ckpt_lr_cl: runs.at("lr") });
  const values = { estimator: "values", reward: "priced", rounds: 2 };
  await runs.train("pretrain", "rounds", { ...policy, ...values, ckpt_hr_cl: runs.at("dense") });
});

const once = { turns: 1, fewest: 2, turnMs: 0 };
const measure = (name: string, reporter: Reporter = silentReporter): Promise<Compute> =>
  measureCompute(parseProfileOptions({ ...exact, load: runs.at(name), batch_size: "1,3" }), reporter, once);
const ofBatch = ({ rows }: Compute, batch: number) => rows.filter((row) => row.batch === batch);
const named = (compute: Compute, batch = 1) =>
  ofBatch(compute, batch).map(({ network, patches }) => [network, patches]);
const counts = [0, 2, 4, 8, 12, 16];
const at = (network: string) => counts.map((patches) => [network, patches]);
const workOf = ({ rows }: Compute, wanted: string) =>
  rows.filter(({ network, batch }) => network === wanted && batch === 1).map(({ multiplyAdds }) => multiplyAdds);

describe("what a run costs", () => {
  it("of a classifier that works on the patches that are there: less without them, beside the model's own", async () => {
    const found = await measure("two");
    for (const batch of [1, 3]) {
      expect(named(found, batch)).toEqual([
        ["agent", undefined],
        ...at("resnet_hr"),
        ...at("dense"),
        ["resnet_lr", undefined],
      ]);
    }
    const work = workOf(found, "resnet_hr");
    expect(work[5]).toBeGreaterThan(work[0]);
    // As much for each patch.
    expect(work[5] - work[0]).toBe(8 * (work[1] - work[0]));
    // ResNet-8 of 32 × 32 pixels and 3 classes, by hand: stem 27 · 16 · 1024; two convolutions of 16 channels at 32²; 16 → 32 and 32 → 32
    // at 16²; 32 → 64 and 64 → 64 at 8²; 64 · 3.
    const resNet8 = 1024 * (27 * 16 + 2 * 144 * 16) + 256 * (144 * 32 + 288 * 32) + 64 * (288 * 64 + 576 * 64) + 192;
    expect(new Set(workOf(found, "dense"))).toEqual(new Set([resNet8]));
    expect(workOf(found, "resnet_lr")).toEqual([resNet8]);
    for (const { milliseconds, passes } of found.rows) {
      expect(passes).toBe(2);
      expect(milliseconds.low).toBeGreaterThan(0);
      expect(milliseconds.median).toBeGreaterThanOrEqual(milliseconds.low);
      expect(milliseconds.high).toBeGreaterThanOrEqual(milliseconds.median);
    }
    expect(found.machine).toMatchObject({ device: "cpu", threads: 1, precision: "fp32" });
    expect(found.rows.every(({ joules }) => joules === undefined)).toBe(found.noJoules !== undefined);
  });

  it("of a dense classifier alone, of a low-resolution one, and of a policy's round", async () => {
    expect(named(await measure("dense"))).toEqual(at("resnet_hr"));
    expect(named(await measure("lr"))).toEqual([["resnet_lr", undefined]]);
    const rounds = await measure("rounds");
    expect(rounds.rounds).toBe(2);
    expect(named(rounds)).toEqual([["agent", undefined], ...at("resnet_hr")]);
  });

  it("is not asked of a file of weights alone, which does not say what they are of", async () => {
    const file = runs.at("policy-alone.safetensors");
    cpSync(join(openCheckpoint(runs.at("policy")).path, "agent.safetensors"), file);
    await expect(measure("policy-alone.safetensors")).rejects.toThrow(
      `${file}: must say which model and classes its networks are for, got weights alone, without the state.json of a checkpoint; give the folder of the checkpoint that they come from, or the --cv_dir of its run`,
    );
  });

  it("ends by a signal", async () => {
    const stopping = () => "SIGTERM" as const;
    await expect(measure("hr", { ...silentReporter, stopping })).rejects.toThrow("stopped by SIGTERM");
  });

  it("counts its passes to the last on its bar", async () => {
    const shown: [string, number, number][] = [];
    const progress = (label: string, total: number) => {
      let last = 0;
      const update = (done: number) => {
        last = done;
      };
      return { update, stop: () => void shown.push([label, total, last]) };
    };
    await measure("dense", { ...silentReporter, progress });
    // Six numbers of patches in batches of 1 and 3: 24 images a pass. Two to warm up; then one that is not timed, and two.
    expect(shown).toEqual([
      ["profile: warming up", 48, 48],
      ["profile", 72, 72],
    ]);
  });
});

describe("patchdrop profile", () => {
  async function profile(...words: string[]): Promise<string> {
    let said = "";
    const write = vi.spyOn(process.stdout, "write").mockImplementation((text) => {
      said += text;
      return true;
    });
    const former = stopSignals.map((signal) => [signal, process.listeners(signal)] as const);
    const quiet = vi.spyOn(process.stderr, "write").mockImplementation(() => true);
    try {
      await patchdropProgram(await commandFlags()).parseAsync(["profile", ...words, "--threads", "1"], {
        from: "user",
      });
    } finally {
      write.mockRestore();
      quiet.mockRestore();
      // The command listens to signals until its process ends, which is the test's here.
      for (const [signal, listeners] of former) {
        process.removeAllListeners(signal);
        for (const listener of listeners) process.on(signal, listener);
      }
    }
    return said;
  }

  it("prints a row for each, stores them beside the weights, and reports draw them", async () => {
    const said = await profile("--load", runs.at("policy"), "--batch_size", "2");
    expect(said.match(/^classifier /gm)).toHaveLength(6);
    expect(said.match(/^dense classifier /gm)).toHaveLength(6);
    expect(said.match(/^policy /gm)).toHaveLength(1);
    const checkpoint = openCheckpoint(runs.at("policy")).path;
    const stored = readCompute(checkpoint);
    expect(stored?.rows).toHaveLength(13);
    const out = runs.at("report.html");
    const options = reportSchema.parse({ ...exact, out, data_dir });
    const { reporter, notes } = listener();
    await reportRuns([runs.at("policy")], options, "patchdrop report", reporter);
    const page = readFileSync(out, "utf8");
    expect(page).toContain('aria-label="Accuracy against milliseconds an image. policy: ');
    expect(page).toContain("batches of 2 images");
    expect(notes.filter((note) => note.includes("milliseconds"))).toEqual([]);
    expect(dirname(checkpoint)).toBe(join(runs.at("policy"), "checkpoints"));
  }, 60_000);

  it("writes nothing to what comes with the program, and prints JSON", async () => {
    const found = JSON.parse(await profile("--load", "patchdrop:cifar10", "--batch_size", "1", "--json"));
    expect(found.rows.length).toBeGreaterThan(6);
    expect(existsSync(join(packagedFolder("cifar10"), "compute.json"))).toBe(false);
  }, 60_000);
});

it("quartiles lie between two values in proportion", () => {
  expect([0.25, 0.5, 0.75].map((share) => quantile([4, 1, 2, 3], share))).toEqual([1.75, 2.5, 3.25]);
  expect(quantile([7], 0.25)).toBe(7);
});
