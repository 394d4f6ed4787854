/**
 * Fails each call of the file system that a small training makes below its run folder, one a trial: with EIO, with ENOSPC, or
 * by writing less than was asked for. The training must succeed or end with an error of the user's in one line, and go on
 * from there to the bits of one in which nothing failed. So too for one that is resumed.
 *
 *     npx tsx test/force/failing-calls.ts --count 100000 --seconds 36000 --record failing-calls.jsonl
 */
import { cpSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { configName } from "../../src/checkpoints/saved-checkpoints.ts";
import { PatchDropError } from "../../src/errors.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { train } from "../../src/training/train.ts";
import { Random } from "../../src/utils/random.ts";
import { type Reporter, silentReporter } from "../../src/utils/reporter.ts";
import { makeImageFolder } from "../e2e/images.ts";
import { type Call, intercept } from "./fs-calls.ts";
import { trained } from "./trained.ts";
import { given, type Trial, tryAll } from "./trials.ts";

const run = given({ count: 40, seconds: 600 });
const folder = mkdtempSync(join(tmpdir(), "patchdrop-failing-calls-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
openLibtorch(findLibtorch(), { threads: 1 });
const data = await makeImageFolder(join(folder, "data"), { classes: 2, train: 8, test: 2 });

function learn(dir: string, resume: boolean, reporter: Reporter = silentReporter) {
  const shape = { model: "R8_Scenes", batch_size: 8, max_epochs: 2, test_interval: 1, threads: 1, precision: "fp32" };
  return train(
    "classifier_training",
    parseOptions("classifier_training", { ...shape, data_dir: data, cv_dir: dir, resume }),
    {
      reporter,
    },
  );
}

const writing = ["openSync", "mkdirSync", "renameSync", "symlinkSync", "linkSync"];
const reading = ["readFileSync", "readdirSync", "readlinkSync", "statSync", "fstatSync"];
const others = ["closeSync", "fsyncSync", "ftruncateSync", "rmSync", "writeSync"];

type Failure = "EIO" | "ENOSPC" | "short";
function failuresOf(name: string): readonly Failure[] {
  if (name === "writeSync") return ["EIO", "ENOSPC", "short"];
  return writing.includes(name) ? ["EIO", "ENOSPC"] : ["EIO"];
}

function fail({ name, given: [file, bytes, offset], make }: Call, failure: Failure): unknown {
  if (failure === "short" && bytes instanceof Uint8Array) {
    const left = bytes.byteLength - Number(offset ?? 0);
    return make(file, bytes, offset, Math.ceil(left / 2));
  }
  // The system has closed it even so.
  if (name === "closeSync") make();
  const syscall = name.replace(/Sync$/, "");
  throw Object.assign(new Error(`${failure}: injected, ${syscall}`), { code: failure, syscall });
}

/** Runs `work` with its n-th call below `dir` failing, and returns the names of the calls. */
async function failingAt(dir: string, work: () => Promise<unknown>, at?: { call: number; failure: Failure }) {
  const calls: string[] = [];
  const files = new Set<unknown>();
  const undo = intercept([...writing, ...reading, ...others], (call) => {
    const [target, second] = call.given;
    const isOurs = files.has(target) || [target, second].some((one) => typeof one === "string" && one.startsWith(dir));
    if (!isOurs) return call.make();
    calls.push(call.name);
    if (call.name === "closeSync") files.delete(target);
    if (calls.length - 1 === at?.call) return fail(call, at.failure);
    const result = call.make();
    if (call.name === "openSync") files.add(result);
    return result;
  });
  try {
    await work();
  } finally {
    undo();
  }
  return calls;
}

/** A lock names this process, which lives on where a program would have ended. */
const unlock = (dir: string) => rmSync(join(dir, "run.lock"), { force: true });

const [whole, begun] = [join(folder, "whole"), join(folder, "begun")];
/** Stops behind the first save. */
const stopping = () => (existsSync(join(begun, "checkpoints")) ? "SIGTERM" : undefined);
await learn(begun, false, { ...silentReporter, stopping });

interface Case {
  readonly what: string;
  readonly prepare: (dir: string) => void;
  readonly resume: boolean;
}
const copyBegun = (dir: string) => cpSync(begun, dir, { recursive: true, verbatimSymlinks: true });
const cases: Case[] = [
  { what: "new run", prepare: () => {}, resume: false },
  { what: "resumed run", prepare: copyBegun, resume: true },
];

interface Planned extends Case {
  readonly call: number;
  readonly name: string;
  readonly failure: Failure;
}
const planned: Planned[] = [];
for (const one of cases) {
  const dir = join(folder, "counted");
  one.prepare(dir);
  const names = await failingAt(dir, () => learn(dir, one.resume));
  if (one.resume) rmSync(dir, { recursive: true });
  else cpSync(dir, whole, { recursive: true, verbatimSymlinks: true });
  for (const [call, name] of names.entries()) {
    for (const failure of failuresOf(name)) planned.push({ ...one, call, name, failure });
  }
  rmSync(dir, { recursive: true, force: true });
}
const expected = trained(whole);
// Few trials are to be spread over all calls.
const order = new Random(run.seed, "order").shuffle(Uint32Array.from(planned.keys()));
console.log(`${planned.length} failures of ${cases.map(({ what }) => what).join(" and ")}`);

/** What is wrong with how a training ended; undefined for nothing. */
async function faultOf(dir: string, one: Planned): Promise<string | undefined> {
  let ended = "success";
  try {
    await failingAt(dir, () => learn(dir, one.resume), one);
  } catch (error) {
    if (!(error instanceof PatchDropError) || error.kind === "internal") return `ended with ${(error as Error).stack}`;
    if (error.faults.length > 1 || error.message.includes("\n")) return `more than one line: ${error.message}`;
    ended = error.message;
  }
  unlock(dir);
  try {
    await learn(dir, existsSync(join(dir, configName)));
  } catch (error) {
    return `could not be continued: ${String(error)}; it had ended with ${ended}`;
  }
  return isDeepStrictEqual(trained(dir), expected)
    ? undefined
    : `differs from the whole one; it had ended with ${ended}`;
}

await tryAll("failing-calls", run, async (index): Promise<Trial | undefined> => {
  if (index >= planned.length) return undefined;
  const one = planned[order[index]];
  const dir = join(folder, String(index));
  one.prepare(dir);
  const wrong = await faultOf(dir, one);
  rmSync(dir, { recursive: true, force: true });
  const what = `${one.what}: ${one.failure}`;
  if (wrong === undefined) return { what, outcome: "one line or success, and continued" };
  return { what, outcome: "wrong", wrong: `call ${one.call}, ${one.name}: ${wrong}` };
});
