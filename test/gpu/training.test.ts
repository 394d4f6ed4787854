/**
 * Training on a GPU: with a CUDA graph as without, beside the CPU, cut and resumed, and leaving nothing behind.
 *
 * Tolerances. With and without a graph the same kernels run in the same order, so all bits are the same, wherever two runs
 * without one agree with each other. Where they do not, because a library's kernel adds in an order of its own (cuDNN's
 * weight gradients may), a run diverges sooner or later, and only the losses of the first epoch's full batches, of which
 * two are replays, are compared: to 1 %. The CPU adds in another order: after one step losses differ by at most 10⁻⁴ in
 * float32, by 0.05 in bfloat16, which has 8 bits; relative to the loss, where it is above 1.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { beforeAll, describe, expect, it } from "vitest";
import type { Dataset } from "../../src/data/dataset.ts";
import { moves } from "../../src/data/transforms.ts";
import { evaluateRun } from "../../src/evaluation/evaluate-run.ts";
import { liveHandles } from "../../src/native/call.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import type { CudaDevice } from "../../src/tensor/cuda.ts";
import { Inputs } from "../../src/tensor/inputs.ts";
import * as ops from "../../src/tensor/ops.ts";
import { keep, scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { ResidentImages } from "../../src/training/resident-images.ts";
import { stepRunner } from "../../src/training/step-runner.ts";
import { train as trainStage } from "../../src/training/train.ts";
import { type Reporter, silentReporter } from "../../src/utils/reporter.ts";
import { makeImageFolder } from "../e2e/images.ts";
import { linked, tensorFiles } from "../e2e/runs.ts";
import { noiseDataset, stageCase } from "../training/cases.ts";
import { endOf, images, runnerOptions, type Seen, stageFlags, streamed, train } from "../training/training.ts";
import { describeOnGpu, testGpu } from "./gpu.ts";

let cuda: CudaDevice;
const onCpu = { device: "cpu", precision: "fp32", cuda: undefined } as const;

type Run = { seen: Seen[]; end: ReturnType<typeof endOf> };

/** A whole training of a case on the GPU. */
async function trained(
  [stage, flags]: (typeof stageFlags)[number],
  captured: boolean,
  precision: "fp32" | "bf16" = "fp32",
  dataset: Dataset = noiseDataset(images),
): Promise<Run> {
  const place = { device: "cuda", precision, cuda } as const;
  const own = stageCase(stage, flags, place);
  const options = { ...runnerOptions(dataset, own.learning, place), captured };
  const seen = await train(stepRunner(options));
  const end = endOf(own);
  own.free();
  options.setting.normalizer.free();
  return { seen, end };
}

const fullBatches = Math.floor(images / 4);

/** Expects two runs to be alike; `repeats` says whether two runs of the same kind are to the bit. */
function expectAlike(found: Run, wanted: Run, repeats: boolean): void {
  expect(found.end.counts).toEqual(wanted.end.counts);
  expect(found.seen.map(({ indices }) => indices)).toEqual(wanted.seen.map(({ indices }) => indices));
  if (repeats) {
    expect(found).toEqual(wanted);
    return;
  }
  for (const [step, { numbers }] of wanted.seen.slice(0, fullBatches).entries()) {
    const [loss] = numbers.loss;
    expect(Math.abs(found.seen[step].numbers.loss[0] - loss)).toBeLessThan(0.01 * Math.max(1, Math.abs(loss)));
  }
}

describeOnGpu("training", () => {
  beforeAll(() => {
    cuda = testGpu();
  });

  describe.each(["fp32", "bf16"] as const)("in %s", (precision) => {
    it.each(stageFlags)("%s with %o: with a graph as without", async (...of) => {
      const [graph, plain, again] = [
        await trained(of, true, precision),
        await trained(of, false, precision),
        await trained(of, false, precision),
      ];
      expectAlike(graph, plain, isDeepStrictEqual(plain, again));
    });
  });

  it.each(stageFlags)("%s with %o: the first step as on the CPU", async (stage, flags) => {
    const reference = stageCase(stage, flags, onCpu);
    const dataset = noiseDataset(images);
    const [expected] = await train(stepRunner(runnerOptions(dataset, reference.learning, onCpu)));
    for (const [precision, tolerance] of [
      ["fp32", 1e-4],
      ["bf16", 0.05],
    ] as const) {
      const { seen } = await trained([stage, flags], true, precision);
      const [loss, wanted] = [seen[0].numbers.loss[0], expected.numbers.loss[0]];
      expect(Math.abs(loss - wanted), precision).toBeLessThanOrEqual(tolerance * Math.max(1, Math.abs(wanted)));
      // A sampled mask depends on the last bits of a probability only where it equals the uniform number to them.
      if (precision === "fp32") expect(seen[0].numbers.mask).toEqual(expected.numbers.mask);
    }
    reference.free();
  });

  it("images on the GPU and images from the CPU make the same run", async () => {
    const of = stageFlags[0];
    const [resident, again] = [await trained(of, true), await trained(of, true)];
    const uploaded = await trained(of, true, "fp32", streamed(noiseDataset(images)));
    expectAlike(uploaded, resident, isDeepStrictEqual(resident, again));
  });

  it("leaves no tensor behind, however often it is captured", async () => {
    await trained(stageFlags[2], true);
    const before = liveHandles();
    await trained(stageFlags[2], true);
    expect(liveHandles()).toBe(before);
  });
});

describeOnGpu("data", () => {
  beforeAll(() => {
    cuda = testGpu();
  });

  it("images are moved there as on the CPU, to the bit", () => {
    const dataset = noiseDataset(50);
    const made = (["cpu", "cuda"] as const).map((device) => {
      const resident = new ResidentImages(dataset, dataset.inMemory.images, moves, device);
      const augmentation = { seed: 1, epoch: 2, firstPosition: 3 };
      const bytes = scope(() => {
        const drawn = fromArray(dataset.inMemory.moves(50, augmentation), [50], device);
        return resident
          .batch(
            fromArray(
              BigInt64Array.from({ length: 50 }, (_, i) => BigInt(i)),
              [50],
              device,
            ),
            drawn,
          )
          .toUint8();
      });
      resident.free();
      return bytes;
    });
    expect(made[1]).toEqual(made[0]);
  });

  it("inputs are seen by their own step, though nothing waits", () => {
    const inputs = new Inputs({ value: { dtype: "float32", shape: [1 << 20] } }, "cuda", cuda);
    const sums: Tensor[] = [];
    for (let step = 0; step < 100; step++) {
      inputs.put({ value: new Float32Array(1 << 20).fill(step) });
      sums.push(keep(ops.mean(inputs.tensors.value)));
    }
    expect(sums.map((sum) => sum.item())).toEqual(Array.from({ length: 100 }, (_, step) => step));
    for (const sum of sums) sum.free();
    inputs.free();
  });
});

describeOnGpu("a run", () => {
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-gpu-"));
  const given = { model: "R8_Scenes", batch_size: 8, max_epochs: 2, test_interval: 1, threads: 1, device: "cuda" };
  const optionsFor = (name: string, more: Record<string, unknown> = {}) => {
    const all = { ...given, data_dir: join(folder, "data"), cv_dir: join(folder, name), ...more };
    return parseOptions("classifier_training", all);
  };
  const files = (name: string) => tensorFiles(join(folder, name, "checkpoints", linked(join(folder, name), "last")));
  beforeAll(async () => {
    testGpu();
    await makeImageFolder(join(folder, "data"), { classes: 3, train: 12, test: 3 });
    return () => rmSync(folder, { recursive: true, force: true });
  });

  /** Asks for a stop at the n-th look. */
  function stopAt(n: number): Reporter {
    let looks = 0;
    return { ...silentReporter, stopping: () => (++looks >= n ? "SIGTERM" : undefined) };
  }

  it("that is cut inside an epoch and resumed ends as one that was not, with a graph and without", async () => {
    await trainStage("classifier_training", optionsFor("whole"));
    await trainStage("classifier_training", optionsFor("again"));
    expect((await trainStage("classifier_training", optionsFor("cut"), { reporter: stopAt(2) })).stopped).toBe(
      "SIGTERM",
    );
    await trainStage("classifier_training", optionsFor("cut", { resume: true, cuda_graph: false }));
    // The bits agree where the GPU's kernels repeat themselves; what two equal runs do says whether they do.
    const repeats = [...files("whole")].every(([name, bytes]) => bytes.equals(files("again").get(name)!));
    if (repeats) expect(files("cut")).toEqual(files("whole"));
    else expect([...files("cut").keys()]).toEqual([...files("whole").keys()]);
  });

  it("is evaluated there as on the CPU, but for an image that stands on the edge", async () => {
    const rows = async (device: string) => {
      const options = { load: join(folder, "whole"), device, precision: "fp32", threads: 1 };
      return (await evaluateRun(evalSchema.parse(options), silentReporter)).rows;
    };
    const [there, here] = [await rows("cuda"), await rows("cpu")];
    expect(there.map(({ name }) => name)).toEqual(here.map(({ name }) => name));
    for (const [i, { accuracy }] of there.entries()) {
      expect(Math.abs(accuracy - here[i].accuracy)).toBeLessThanOrEqual(1 / 9 + 1e-9);
    }
  });
});
