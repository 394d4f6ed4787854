/** `--device cuda` and `--no_cuda_graph` at the command line, on machines with a GPU and without. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { describeUnless } from "../describe-unless.ts";
import { describeOnGpu, noGpu, noTwoGpus } from "../gpu/gpu.ts";
import { noMpirun, noTorchrun } from "../launchers.ts";
import { makeImageFolder } from "./images.ts";
import { patchdrop, programCommand, runTimeoutMs, succeed } from "./program.ts";
import { errorsOf, mpirun, torchrun } from "./ranked.ts";
import { outcome, timelessMetrics } from "./runs.ts";

let folder: string;
let data: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-cuda-"));
  data = await makeImageFolder(join(folder, "data"), { classes: 3, train: 6, test: 2 });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const small = ["--model", "R8_Scenes", "--batch_size", "8", "--max_epochs", "1", "--threads", "1"];
const training = (name: string, ...more: string[]) => [
  "classifier_training",
  ...small,
  "--data_dir",
  data,
  "--cv_dir",
  join(folder, name),
  ...more,
];
const optionsOf = (name: string) =>
  (JSON.parse(readFileSync(join(folder, name, "config.json"), "utf8")) as { options: Record<string, unknown> }).options;

describe("--no_cuda_graph", () => {
  it(
    "is recorded, changes nothing on the CPU, and may be given or left away when a run goes on",
    async () => {
      await succeed(training("with"));
      await succeed(training("without", "--no_cuda_graph"));
      expect([optionsOf("with").cuda_graph, optionsOf("without").cuda_graph]).toEqual([true, false]);
      expect(timelessMetrics(join(folder, "without"))).toEqual(timelessMetrics(join(folder, "with")));
      await succeed(training("without", "--resume"));
      await succeed(training("with", "--resume", "--no_cuda_graph"));
    },
    runTimeoutMs,
  );
});

describe("wrong input", () => {
  it.each([
    ["a negative GPU", ["--device", "cuda:-1"], 2, /^error: --device: must be cpu, cuda or cuda:N, got cuda:-1; see/],
    ["a value for a switch", ["--no_cuda_graph=yes"], 2, /^error: .*--no_cuda_graph/],
    ["a switch that is on anyway", ["--cuda-graph"], 2, /^error: unknown option '--cuda-graph'/],
  ])(
    "%s",
    async (_, flags, code, words) => {
      const ended = await patchdrop(training("never", ...flags));
      expect([ended.code, ended.stdout]).toEqual([code, ""]);
      expect(ended.stderr).toMatch(words);
    },
    runTimeoutMs,
  );

  const { cuda } = findLibtorch();
  it.skipIf(!cuda)(
    "a GPU that this machine does not have (skipped where libtorch has no CUDA)",
    async () => {
      const ended = await patchdrop(training("never", "--device", "cuda:4096"));
      expect([ended.code, ended.stdout]).toEqual([3, ""]);
      expect(ended.stderr).toMatch(
        /^error: --device cuda:4096: needs that GPU, got .+; see `patchdrop doctor`, or use --device cpu\n$/,
      );
    },
    runTimeoutMs,
  );
});

describeOnGpu("a training from the command line", () => {
  it(
    "with a graph and without, then evaluated",
    async () => {
      await succeed(training("graph", "--device", "cuda"));
      await succeed(training("plain", "--device", "cuda", "--no_cuda_graph"));
      const { stdout } = await succeed(["eval", "--load", join(folder, "graph"), "--device", "cuda", "--json"]);
      expect((JSON.parse(stdout) as { rows: unknown[] }).rows.length).toBeGreaterThan(0);
    },
    runTimeoutMs,
  );
});

const launchers = [
  ["torchrun", noTorchrun, torchrun],
  ["mpirun", noMpirun, mpirun],
] as const;

for (const [by, missing, start] of launchers) {
  describeUnless(noTwoGpus ?? missing, `two GPUs, started by ${by}`, () => {
    it.each([[[]], [["--no_cuda_graph"]]])(
      "learn with --shards 2 what one learns, and evaluate it alike, with %o",
      async (flags) => {
        const name = (gpus: string) => [gpus, by, ...flags].join("");
        const onCuda = (gpus: string) =>
          training(name(gpus), "--device", "cuda", "--max_epochs", "2", "--shards", "2", ...flags);
        const both = async (args: readonly string[]) => {
          const ended = await start(2, [...programCommand, ...args]).ended;
          expect(ended.code, ended.stderr).toBe(0);
          return ended;
        };
        await succeed(onCuda("one"));
        await both(onCuda("two"));
        expect(outcome(join(folder, name("two")))).toEqual(outcome(join(folder, name("one"))));
        const evaluation = ["eval", "--load", join(folder, name("one")), "--device", "cuda", "--json"];
        expect((await both(evaluation)).stdout).toBe((await succeed(evaluation)).stdout);
      },
      runTimeoutMs,
    );
  });
}

describeUnless(noTorchrun, "ranks that torchrun starts", () => {
  it(
    "on CPUs are refused, in one line of the first, which says what torchrun has set",
    async () => {
      const { code, stderr } = await torchrun(2, [...programCommand, ...training("never")]).ended;
      expect(errorsOf(stderr)).toEqual([
        "error: rank 0 of 2: torchrun: ranks on CPUs exchange numbers by MPI, which torchrun does not start, got 2 ranks; give --device cuda, or start with mpirun -n 2 patchdrop …",
      ]);
      expect(stderr).toMatch(/^2 ranks, started by torchrun, with OMP_NUM_THREADS=1, which --threads overrides$/m);
      expect(code).toBe(1);
    },
    runTimeoutMs,
  );

  it.skipIf(noGpu === undefined)(
    "without a GPU are refused, in one line of the first",
    async () => {
      const { stderr } = await torchrun(2, [...programCommand, ...training("never", "--device", "cuda")]).ended;
      expect(errorsOf(stderr)).toEqual([expect.stringMatching(/^error: rank 0 of 2: --device.* needs /)]);
    },
    runTimeoutMs,
  );
});

describeUnless(noMpirun, "ranks that mpirun starts", () => {
  it.each([
    ["cuda:0", /^error: rank 0 of 2: --device: must be cpu or cuda on many ranks, .* got cuda:0; give --device cuda$/m],
    ...(noGpu === undefined ? [] : [["cuda", /^error: rank 0 of 2: --device.* needs .+$/m] as const]),
  ] as const)(
    "on %s are refused",
    async (device, words) => {
      const { code, stderr } = await mpirun(2, [...programCommand, ...training("never", "--device", device)]).ended;
      expect(stderr).toMatch(words);
      expect(code).toBe(device === "cuda" ? 3 : 2);
    },
    runTimeoutMs,
  );
});
