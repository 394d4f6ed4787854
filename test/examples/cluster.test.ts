/**
 * The templates of examples/cluster: their scripts run with launchers that only note what they were asked, and their command lines
 * must be those of the program.
 */
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { parseAllDocuments } from "yaml";
import { z } from "zod";
import { parsed } from "../cli/parsed.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const at = (name: string) => fileURLToPath(new URL(`../../examples/cluster/${name}`, import.meta.url));
const textOf = (name: string) => readFileSync(at(name), "utf8");

/** What each does once it has noted its words. srun starts what follows its flags. */
const programs = {
  patchdrop: 'exit "$ENDS"',
  srun: 'shift; "$@"',
  scontrol: "",
  torchrun: "",
};
const stage = ["classifier_training", "--data_dir", "data/a b", "--shards", "8"];

let folder: string;
let run: string;
beforeEach(() => {
  folder = temporaryFolder(onTestFinished);
  run = join(folder, "run");
  for (const [name, then] of Object.entries(programs)) {
    writeFileSync(join(folder, name), `#!/bin/sh\nprintf '%s\\n' ${name} "$@" "" >> "$NOTES"\n${then}\n`);
    chmodSync(join(folder, name), 0o755);
  }
});

/** Runs a script, where the program ends with the code `ends`. @returns its end, and the words of each program that it started */
function start(script: string, environment: Readonly<Record<string, string>> = { RUN: run }, ends = 0) {
  const notes = join(folder, "notes");
  writeFileSync(notes, "");
  const env = { PATH: `${folder}:${process.env.PATH}`, NOTES: notes, ENDS: String(ends), ...environment };
  const { status, stderr } = spawnSync("sh", [at(script), ...stage], { env, encoding: "utf8" });
  const started = readFileSync(notes, "utf8").split("\n\n").slice(0, -1);
  return { status, stderr, started: started.map((lines) => lines.split("\n")) };
}

/** A run that has begun. */
function begin(): void {
  mkdirSync(run);
  writeFileSync(join(run, "config.json"), "{}");
}

describe.each(["slurm.sh", "go-on.sh"])("%s", (script) => {
  it("begins a run, and goes on with one that has begun", async () => {
    for (const more of [[], ["--resume"]]) {
      const [words] = start(script).started.filter(([name]) => name === "patchdrop");
      expect(words).toEqual(["patchdrop", ...stage, ...more, "--cv_dir", run]);
      expect(await parsed(words.slice(1))).toBe("acted");
      if (more.length === 0) begin();
    }
  });

  it("ends as the program does", () => {
    expect([0, 2, 138].map((code) => start(script, undefined, code).status)).toEqual([0, 2, 138]);
  });

  it("asks for the run folder", () => {
    const refused = { status: 2, stderr: "RUN: must name the run folder, such as RUN=runs/hr\n", started: [] };
    expect(start(script, {})).toEqual(refused);
  });
});

describe("slurm.sh", () => {
  const job = () => ({ RUN: run, SLURM_JOB_ID: "41" });
  const queued = (code: number, more = {}) => start("slurm.sh", { ...job(), ...more }, code).started.slice(2);

  it("starts the ranks by PMIx", () => {
    expect(start("slurm.sh").started[0].slice(0, 3)).toEqual(["srun", "--mpi=pmix", "patchdrop"]);
  });

  // Codes: docs/errors.md. 0 is done, 2 to 8 and 70 are errors, 128 + n is signal n.
  it.each([129, 134, 135, 137, 138, 139, 140, 143])("goes into the queue again after %i", (code) => {
    expect(queued(code)).toEqual([["scontrol", "requeue", "41"]]);
  });

  it.each([0, 1, 2, 3, 4, 5, 6, 7, 8, 70, 130])("is at its end after %i", (code) => {
    expect(queued(code)).toEqual([]);
  });

  it("ends after 100 starts", () => {
    expect(queued(137, { SLURM_RESTART_COUNT: "98" })).toHaveLength(1);
    expect(queued(137, { SLURM_RESTART_COUNT: "99" })).toEqual([]);
  });
});

describe("torchrun.sh", () => {
  it("starts a rank a GPU on two hosts, as go-on.sh does one", () => {
    const [words] = start("torchrun.sh", { RUN: run, HEAD: "node-1" }).started;
    expect(words).toEqual([
      ...["torchrun", "--nnodes", "2", "--nproc-per-node", "gpu", "--max-restarts", "3"],
      ...["--rdzv-backend", "c10d", "--rdzv-endpoint", "node-1:29500", "--no-python"],
      ...["sh", at("go-on.sh"), ...stage],
    ]);
  });

  it("takes other numbers, and asks for the first host", () => {
    const [words] = start("torchrun.sh", { RUN: run, HEAD: "node-1", HOSTS: "4", RANKS: "8" }).started;
    expect(words.slice(1, 5)).toEqual(["--nnodes", "4", "--nproc-per-node", "8"]);
    const refused = { status: 2, stderr: "HEAD: must name one of the hosts, such as HEAD=node-1\n", started: [] };
    expect(start("torchrun.sh")).toEqual(refused);
  });
});

/** The command line that a script shows in its comments. */
it.each(["slurm.sh", "torchrun.sh", "go-on.sh"])("%s: its example is a command of the program", async (script) => {
  const [, words] = /^# {5}RUN=.* \S*\.sh (.*)$/m.exec(textOf(script))!;
  expect(await parsed(words.split(" "))).toBe("acted");
});

/** A shard's exit codes, and what becomes of it: the first row goes on, the second is at its end. */
const again = [5, 129, 138, 140, 143, 137];
const ended = [0, 2, 3, 4, 7, 8, 70];

describe("slurm-shards.sh", () => {
  const task = { SLURM_JOB_ID: "43", SLURM_ARRAY_JOB_ID: "41", SLURM_ARRAY_TASK_ID: "7", SLURM_CPUS_PER_TASK: "4" };
  const queued = (code: number, more = {}) => start("slurm-shards.sh", { ...task, ...more }, code).started.slice(1);

  it("starts the program, which finds its shard itself, or tells it one of SHARDS", () => {
    const threads = ["--threads", "4"];
    expect(start("slurm-shards.sh", task).started).toEqual([["patchdrop", ...stage, ...threads]]);
    const some = start("slurm-shards.sh", { ...task, SHARDS: "100" }).started;
    expect(some).toEqual([["patchdrop", ...stage, "--shard", "7/100", ...threads]]);
  });

  it.each(again)("puts the task into the queue again after %i", (code) => {
    expect(queued(code)).toEqual([["scontrol", "requeue", "41_7"]]);
    expect(queued(code, { SLURM_RESTART_COUNT: "20" })).toEqual([]);
  });

  it.each(ended)("is at its end after %i", (code) => {
    expect([start("slurm-shards.sh", task, code).status, queued(code)]).toEqual([code, []]);
  });

  it("hands on the signal that the time is nearly up", () => {
    const waiting = `printf 'begun\\n' > "$NOTES.begun"; trap 'exit 138' USR1; while :; do sleep 0.05; done`;
    writeFileSync(join(folder, "patchdrop"), `#!/bin/sh\n${waiting}\n`);
    const env = { PATH: `${folder}:${process.env.PATH}`, NOTES: join(folder, "notes"), ...task };
    const wait = `while ! [ -e "$NOTES.begun" ]; do sleep 0.05; done`;
    const script = `sh ${at("slurm-shards.sh")} acquire & ${wait}; kill -USR1 $!; wait $!`;
    const { status } = spawnSync("sh", ["-c", script], { env, encoding: "utf8", timeout: 60_000 });
    expect(status).toBe(138);
    expect(readFileSync(join(folder, "notes"), "utf8")).toBe("scontrol\nrequeue\n41_7\n\n");
  });

  it("has commands of the program as its examples", async () => {
    const lines = [...textOf("slurm-shards.sh").matchAll(/^# {5}(?:sbatch .* slurm-shards.sh|patchdrop) (.*)$/gm)];
    expect(lines).toHaveLength(2);
    for (const [, words] of lines) expect(await parsed(words.split(" "))).toBe("acted");
  });
});

describe("kubernetes-shards.yaml", () => {
  const [job] = parseAllDocuments(textOf("kubernetes-shards.yaml")).map((document) => document.toJS());
  const { completions, podFailurePolicy, template, backoffLimitPerIndex } = job.spec;
  const [container] = template.spec.containers;

  it("runs a command of the program in its image, and says of how many shards", async () => {
    expect(await parsed(container.args)).toBe("acted");
    expect(container.env).toEqual([{ name: "JOB_COMPLETIONS", value: String(completions) }]);
    expect(textOf("Dockerfile")).toContain(`--target shards -t ${container.image} .\n`);
  });

  it("gives up a shard whose code says so, and no other", () => {
    const actionOf = (code: number) => {
      const rules: { action: string; onExitCodes?: { values: number[] } }[] = podFailurePolicy.rules;
      return rules.find(({ onExitCodes }) => onExitCodes?.values.includes(code))?.action ?? "Count";
    };
    expect(ended.slice(1).map(actionOf)).toEqual(ended.slice(1).map(() => "FailIndex"));
    expect(again.map(actionOf)).toEqual(["Count", "Ignore", "Ignore", "Ignore", "Ignore", "Count"]);
    expect(backoffLimitPerIndex).toBeGreaterThan(0);
  });
});

describe("aws-batch-shards.json", () => {
  const { containerProperties, parameters, retryStrategy } = JSON.parse(textOf("aws-batch-shards.json"));

  it("runs a command of the program", async () => {
    const words: string[] = containerProperties.command;
    expect(await parsed(words.map((word) => parameters[word.replace(/^Ref::/, "")] ?? word))).toBe("acted");
  });

  it("tries a shard again whose code says so, and no other", () => {
    const rules: { onExitCode?: string; action: string }[] = retryStrategy.evaluateOnExit;
    const actionOf = (code: number) =>
      rules.find(({ onExitCode = "none" }) => new RegExp(`^${onExitCode.replace("*", ".*")}$`).test(String(code)))
        ?.action ?? "EXIT";
    expect(again.map(actionOf)).toEqual(again.map(() => "RETRY"));
    expect(ended.map(actionOf)).toEqual(ended.map(() => "EXIT"));
  });
});

const containerSchema = z.object({ name: z.literal("node"), image: z.string(), command: z.array(z.string()) });
const podSchema = z.object({ spec: z.object({ containers: z.tuple([containerSchema]) }) });
const jobSchema = z.object({
  name: z.string(),
  template: z.object({ spec: z.object({ backoffLimit: z.literal(0), template: podSchema }) }),
});
const runtimeSchema = z.object({
  kind: z.literal("TrainingRuntime"),
  metadata: z.object({ name: z.string() }),
  spec: z.object({ template: z.object({ spec: z.object({ replicatedJobs: z.array(jobSchema) }) }) }),
});
const trainJobSchema = z.object({
  kind: z.literal("TrainJob"),
  spec: z.object({
    runtimeRef: z.object({ kind: z.literal("TrainingRuntime"), name: z.string() }),
    trainer: z.object({ args: z.array(z.string()), env: z.array(z.object({ name: z.string(), value: z.string() })) }),
  }),
});
const fileSchema = z.tuple([runtimeSchema, trainJobSchema]);

/** scripts/check-manifests.mjs holds the manifests against Kubeflow's own definitions, which are not here. */
describe.each([
  ["mpi", ["mpirun", "--bind-to", "none", "-x", "RUN", "go-on"]],
  ["torch", ["torchrun", "--no-python", "go-on"]],
])("kubernetes-%s.yaml", (target, command) => {
  const documents = parseAllDocuments(textOf(`kubernetes-${target}.yaml`)).map((document) => document.toJS());
  const [runtime, { spec }] = fileSchema.parse(documents);
  const containers = runtime.spec.template.spec.replicatedJobs.flatMap(
    (job) => job.template.spec.template.spec.containers,
  );

  it("trains by a command of the program, with the run folder that go-on.sh asks for", async () => {
    expect(spec.runtimeRef.name).toBe(runtime.metadata.name);
    expect(spec.trainer.env.map(({ name }) => name)).toEqual(["RUN"]);
    expect(await parsed(spec.trainer.args)).toBe("acted");
  });

  it("starts what its image has", () => {
    const dockerfile = textOf("Dockerfile");
    expect(containers.at(-1)?.command).toEqual(command);
    expect(dockerfile).toContain("examples/cluster/go-on.sh /usr/local/bin/go-on\n");
    for (const { image } of containers) {
      expect(image).toBe(`patchdrop:${target}`);
      expect(dockerfile).toContain(`--target ${target} -t ${image} .\n`);
      expect(dockerfile).toContain(`FROM base AS ${target}\n`);
    }
  });
});
