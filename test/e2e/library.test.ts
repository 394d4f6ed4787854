/**
 * The library as a program of one's own meets it: the package installed by npm into an empty strict TypeScript project, with
 * the versions of package-lock.json and nothing that only development needs.
 */
import { type SpawnSyncReturns, spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { packageFolder, runTimeoutMs, shellEnvironment } from "./program.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));
const models = join(root, "demo", "models", "scenes");
const compiler = join(root, "node_modules", "typescript", "bin", "tsc");
const npmTimeoutMs = 180_000;

interface Lock {
  readonly packages: Record<string, { readonly dev?: boolean; readonly devOptional?: boolean }>;
}

const project = mkdtempSync(join(tmpdir(), "patchdrop-library-"));
const at = (...names: string[]) => join(project, ...names);
afterAll(() => rmSync(project, { recursive: true, force: true }));

/** Runs a program in the project; `more` goes over its environment. */
function run(program: string, args: readonly string[], more: NodeJS.ProcessEnv = {}): SpawnSyncReturns<string> {
  const env = { ...shellEnvironment, OMP_NUM_THREADS: "1", ...more };
  return spawnSync(program, args, { cwd: project, env, encoding: "utf8", timeout: npmTimeoutMs });
}
const node = (args: readonly string[], more?: NodeJS.ProcessEnv) => run(process.execPath, args, more);
const write = (name: string, value: unknown) => writeFileSync(at(name), `${JSON.stringify(value)}\n`);

/** Why npm cannot be had here; "" where it did what it was told. @throws where it can, and says that the package is wrong */
function whyNot({ status, error, stderr }: SpawnSyncReturns<string>): string {
  if (status === 0) return "";
  const line =
    error?.message ?? /^npm error .*\b(ENOTCACHED|ENOTFOUND|EAI_AGAIN|ECONN\w+|ETIMEDOUT)\b.*/m.exec(stderr)?.[0];
  if (line === undefined) throw new Error(stderr);
  return `npm cannot install here: ${line}`;
}

/** Packs and installs; from npm's cache where it has what the lock names. Why not, where it cannot; "" otherwise. */
function install(): string {
  // Without its scripts: the build is there, and other tests run it.
  const packed = run("npm", ["pack", packageFolder, "--ignore-scripts", "--json", "--pack-destination", project]);
  if (packed.status !== 0) return whyNot(packed);
  const [{ filename }] = JSON.parse(packed.stdout) as { filename: string }[];
  const own = { name: "own", private: true, type: "module", dependencies: { patchdrop: `file:${filename}` } };
  const { packages } = JSON.parse(readFileSync(join(root, "package-lock.json"), "utf8")) as Lock;
  const needed = Object.entries(packages).filter(([path, { dev, devOptional }]) => path !== "" && !dev && !devOptional);
  const locked = { "": own, ...Object.fromEntries(needed) };
  write("package.json", own);
  write("package-lock.json", { name: "own", lockfileVersion: 3, requires: true, packages: locked });
  return whyNot(run("npm", ["install", "--prefer-offline", "--ignore-scripts", "--no-audit", "--no-fund"]));
}

let cannot = "";
beforeAll(() => {
  cannot = install();
  const compilerOptions = { strict: true, module: "nodenext", moduleResolution: "nodenext", target: "es2023" };
  // The package's own declarations are checked too, without Node's: an empty project has none.
  const options = { ...compilerOptions, skipLibCheck: false, types: [], exactOptionalPropertyTypes: true };
  write("tsconfig.json", { compilerOptions: options, include: ["*.ts"] });
}, 2 * npmTimeoutMs);

it("installs no ONNX Runtime, which only exported models need", ({ skip }) => {
  skip(cannot !== "", cannot);
  expect(existsSync(at("node_modules", "koffi"))).toBe(true);
  expect(existsSync(at("node_modules", "onnxruntime-web"))).toBe(false);
});

it("trains, evaluates and predicts in a strict TypeScript program", { timeout: runTimeoutMs }, ({ skip }) => {
  skip(cannot !== "", cannot);
  cpSync(at("node_modules", "patchdrop", "examples", "train-on-images-in-memory.ts"), at("program.ts"));
  expect(node([compiler]).stdout).toBe("");
  const { stdout, stderr } = node(["program.js"]);
  const rows = [...stdout.matchAll(/^(.+): (\d+\.\d) % with (\d+\.\d) patches$/gm)];
  const all = rows.find(([, name]) => name === "all patches");
  // A light square in the left half or in the right one: the classifier learns it in three epochs.
  expect(Number(all?.[2]), stdout + stderr).toBeGreaterThan(90);
  expect(all?.[3]).toBe("16.0");
  expect(rows.length).toBeGreaterThan(3);
  // The first image has its square on the left.
  expect(stdout).toMatch(/^it is left, from \d+ of 16 patches$/m);
  // The progress: a line an epoch, of both trainings.
  expect(stderr.match(/^epoch 3\/3: /gm)).toHaveLength(2);
  // The run knows its classes and its normalization, though no data set of that name is anywhere.
  const { classes, normalization } = JSON.parse(readFileSync(at("runs", "policy", "config.json"), "utf8")).description;
  expect({ classes, normalization }).toEqual({
    classes: ["left", "right"],
    normalization: { mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2] },
  });
});

it("has types that refuse what no option is called", { timeout: runTimeoutMs }, ({ skip }) => {
  skip(cannot !== "", cannot);
  writeFileSync(
    at("program.ts"),
    `import * as patchdrop from "patchdrop";
import { openOnnxPredictor } from "patchdrop/onnx";
await patchdrop.train("pretrain", { ckpt_hr_cl: "runs/hr", penaltY: -1 });
await patchdrop.train("pretrain", { penalty: -1 });
await patchdrop.train("classifier_training", patchdrop.parseOptions("classifier_training", {}), { sead: 1 });
await patchdrop.evaluateRun({ load: "runs/hr", treshold: 0.5 });
await patchdrop.evaluateRun({ load: "runs/hr" }, patchdrop.silentReporter, { detials: true });
await patchdrop.acquireRun("scene.tif", { load: "runs/hr", out: "out", bands: 3 });
await patchdrop.exportRun({ load: "runs/hr", out: "onnx", bach: 1 });
await patchdrop.openPredictor("runs/hr", { threashold: 0.5 });
await openOnnxPredictor("onnx", { device: "cuda" });
patchdrop.consoleReporter({ quit: true });
`,
  );
  const lines = node([compiler]).stdout.match(/(?<=^program\.ts\()\d+(?=,\d+\): error)/gm);
  expect(lines).toEqual(["3", "4", "5", "6", "7", "8", "9", "10", "11", "12"]);
});

/** Predicts the pictures of the page: a line for each with its class. */
const onnxProgram = `
import { openOnnxPredictor, readImage } from "patchdrop/onnx";
const [folder, ...files] = process.argv.slice(2);
const run = await openOnnxPredictor(folder, { threads: 1 });
for (const file of files) {
  const { classes } = await run.predict(await readImage(file, run.description));
  console.log(run.classes[classes.indexOf(Math.max(...classes))]);
}
await run.free();
`;

it("says what ONNX models need, and computes them with neither libtorch nor koffi", { timeout: runTimeoutMs }, ({
  skip,
}) => {
  skip(cannot !== "", cannot);
  const { samples } = JSON.parse(readFileSync(join(models, "model.json"), "utf8")) as {
    samples: { file: string; label: string }[];
  };
  const files = samples.map(({ file }) => join(models, file));
  writeFileSync(at("onnx.js"), onnxProgram);
  const lacking = "onnxruntime-web: must be installed to compute ONNX models; npm install onnxruntime-web";
  expect(node(["onnx.js", models, ...files]).stderr).toContain(`PatchDropError: ${lacking}\n`);
  const main = at("node_modules", "patchdrop", "dist", "cli", "main.js");
  for (const command of [
    ["predict", "--engine", "onnx", "--load", models, ...files],
    ["export", "--load", "runs/policy", "--out", "onnx"],
  ]) {
    const { status, stderr } = node([main, ...command]);
    expect({ status, stderr }).toEqual({ status: 3, stderr: `error: ${lacking}\n` });
  }
  for (const name of ["onnxruntime-web", "onnxruntime-common"]) {
    symlinkSync(join(root, "node_modules", name), at("node_modules", name));
  }
  rmSync(at("node_modules", "koffi"), { recursive: true });
  const { stdout, stderr } = node(["onnx.js", models, ...files], { PATCHDROP_TORCH: "/nonexistent" });
  const said = stdout.trimEnd().split("\n");
  // These networks classify 99.9 % of the test scenes rightly (model.json): with ten of them, all but one at the least.
  const right = samples.filter(({ label }, i) => said[i] === label).length;
  expect(right, stderr).toBeGreaterThanOrEqual(samples.length - 1);
});
