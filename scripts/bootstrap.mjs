/**
 * Prepares a fresh clone and runs what was asked for: `node scripts/bootstrap.mjs quickstart|test|test:unit|demo|build|prepare`.
 * Each step is skipped if its result is there and up to date, so that the second run takes a fraction of a second.
 * Plain JavaScript with Node's own modules: it runs before anything is installed.
 */
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import path from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
/** What package.json states too. */
const oldestNode = [20, 9];
const pageStamp = "node_modules/.patchdrop-demo";

/** What can be asked for: the steps to do first, and the program that is then run with the remaining arguments. */
const tasks = {
  prepare: { steps: [install, build, fetchLibtorch] },
  build: { steps: [install, rebuild] },
  quickstart: { steps: [install, build, fetchLibtorch], run: ["dist/cli/patchdrop.js", "quickstart"] },
  test: { steps: [install, build, fetchLibtorch], run: ["node_modules/vitest/vitest.mjs", "run"] },
  "test:unit": {
    steps: [install, build, fetchLibtorch],
    run: ["node_modules/vitest/vitest.mjs", "run", "--exclude", "test/e2e/**"],
  },
  "demo:build": { steps: [install, rebuildPage] },
  demo: { steps: [install, build, buildPage], run: ["dist/cli/patchdrop.js", "demo"] },
};

await main(process.argv.slice(2));

async function main([what = "", ...rest]) {
  checkNode();
  const task = Object.hasOwn(tasks, what) ? tasks[what] : undefined;
  if (task === undefined) stop(2, `no task "${what}"; one of ${Object.keys(tasks).join(", ")}`);
  process.chdir(root);
  for (const step of task.steps) await step();
  if (task.run !== undefined) runLast([...task.run, ...rest]);
}

function checkNode() {
  const [major, minor] = process.versions.node.split(".").map(Number);
  if (major > oldestNode[0] || (major === oldestNode[0] && minor >= oldestNode[1])) return;
  stop(2, `Node ${oldestNode.join(".")} or newer is needed, this is ${process.versions.node}; see https://nodejs.org`);
}

/** `npm ci`, if node_modules is missing or was made from another package-lock.json. */
function install() {
  const stamp = "node_modules/.patchdrop-install";
  const wanted = createHash("sha256").update(readFileSync("package-lock.json")).digest("hex");
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === wanted) return;
  if (!existsSync(stamp) && isNewer("node_modules/.package-lock.json", "package-lock.json")) {
    // Installed by hand, after the lock file was written: taken as it is.
    writeFileSync(stamp, wanted);
    return;
  }
  say("installing the packages of package-lock.json (npm ci)");
  // No package of ours needs an install script.
  const npm = process.env.npm_execpath?.endsWith(".js") ? [process.execPath, process.env.npm_execpath] : ["npm"];
  runStep([...npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund"]);
  writeFileSync(stamp, wanted);
}

/** Compiles, if dist is missing or was made from other sources. */
function build() {
  const stamp = "dist/.patchdrop-build";
  if (existsSync(stamp) && readFileSync(stamp, "utf8") === sourcesDigest()) return;
  rebuild();
}

function rebuild() {
  say("building (tsc -p tsconfig.build.json)");
  const digest = sourcesDigest();
  rmSync("dist", { recursive: true, force: true });
  runStep([process.execPath, "node_modules/typescript/bin/tsc", "-p", "tsconfig.build.json"]);
  runStep([process.execPath, "scripts/write-schema.mjs"]);
  runStep([process.execPath, "scripts/write-flags.mjs"]);
  writeFileSync("dist/.patchdrop-build", digest);
}

/** Builds the browser page, if demo/dist is missing or was made from other sources. */
function buildPage() {
  const isBuilt = existsSync(pageStamp) && existsSync("demo/dist/index.html");
  if (isBuilt && readFileSync(pageStamp, "utf8") === pageDigest()) return;
  rebuildPage();
}

function rebuildPage() {
  say("building the page (vite build demo)");
  runStep([process.execPath, "node_modules/tsx/dist/cli.mjs", "scripts/make-page-models.ts"]);
  const digest = pageDigest();
  runStep([process.execPath, "node_modules/vite/bin/vite.js", "build", "demo", "--logLevel", "warn"]);
  writeFileSync(pageStamp, digest);
}

function pageDigest() {
  const made = `demo${path.sep}dist${path.sep}`;
  return digestOf([
    "package-lock.json",
    "scripts/page-models.ts",
    ...listFiles("src"),
    ...listFiles("models"),
    ...listFiles("demo").filter((file) => !file.startsWith(made)),
  ]);
}

function sourcesDigest() {
  return digestOf(["package-lock.json", "tsconfig.json", "tsconfig.build.json", ...listFiles("src")]);
}

/** A hash of the names, sizes and times of all that a build reads. */
function digestOf(files) {
  const hash = createHash("sha256");
  for (const file of files.sort()) {
    const { size, mtimeMs } = statSync(file);
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  return hash.digest("hex");
}

function listFiles(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const place = path.join(folder, entry.name);
    return entry.isDirectory() ? listFiles(place) : [place];
  });
}

/** `patchdrop setup`, if the program's own search finds no libtorch. */
async function fetchLibtorch() {
  const { searchLibtorch } = await import(pathToFileURL(path.resolve("dist/native/find.js")).href);
  if (searchLibtorch().found !== undefined) return;
  say("fetching libtorch, once (patchdrop setup)");
  runStep([process.execPath, "dist/cli/patchdrop.js", "setup"]);
}

function isNewer(file, other) {
  return existsSync(file) && statSync(file).mtimeMs >= statSync(other).mtimeMs;
}

/** Runs one step to its end; its failure is ours. */
function runStep([program, ...args]) {
  const { status, error } = spawnSync(program, args, { stdio: "inherit" });
  if (error !== undefined) stop(5, `${program} cannot be started (${error.message})`);
  if (status !== 0) stop(status ?? 1, `${[path.basename(program), ...args].join(" ")} failed`);
}

/** Runs the program that was asked for, passing on its exit code and signals: each of these it answers by saving. */
function runLast(args) {
  const child = spawn(process.execPath, args, { stdio: "inherit" });
  // The terminal sends Ctrl-C to the child as well; other signals may reach only us.
  process.on("SIGINT", () => undefined);
  for (const signal of ["SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => stop(5, error.message));
  child.on("close", (code, signal) => {
    process.exitCode = code ?? 128 + constants.signals[signal];
  });
}

function say(text) {
  process.stderr.write(`bootstrap: ${text}\n`);
}

function stop(code, text) {
  process.stderr.write(`error: bootstrap: ${text}\n`);
  process.exit(code);
}
