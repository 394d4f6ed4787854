/**
 * Every state that a loss of power can leave of a run folder: the calls of its beginning and of four saves are recorded, and
 * after each of them every effect that was not yet forced to the disk may be lost or torn (model-disk.ts). Each state must
 * open as it was before the save or after it, and be gone on with.
 *
 *     npx tsx test/force/crash-states.ts --count 100000
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { configName } from "../../src/checkpoints/saved-checkpoints.ts";
import { processStart } from "../../src/files/owner.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { config, save } from "../run/example.ts";
import { intercept } from "./fs-calls.ts";
import { type CrashState, ModelDisk } from "./model-disk.ts";
import { given, type Trial, tryAll } from "./trials.ts";

const run = given({ count: 100_000, seconds: 600 });
const saves = [1, 2, 3, 4];
const folder = mkdtempSync(join(tmpdir(), "patchdrop-crash-states-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));

const written = join(folder, "written");
mkdirSync(written);
const disk = new ModelDisk(written);
disk.record((mark) => {
  const own = RunFolder.create(join(written, "run"), config, { keep: 2 });
  for (const step of saves) {
    own.log({ epoch: step, split: "train", accuracy: step });
    own.save(save(step, step !== 3));
    mark(step);
  }
  own.close();
});

/** The lock names this process: in a state that is restored, one that had its process id and is gone. */
const start = processStart(process.pid) ?? "";
const gone = (bytes: Buffer) =>
  Buffer.from(bytes.toString("latin1").replaceAll(start, start.replace(/\d$/, "x")), "latin1");

/** What is wrong with a state; undefined for nothing. */
function fault({ mark: saved }: CrashState, dir: string): string | undefined {
  if (!existsSync(join(dir, configName))) {
    if (saved > 0) return `save ${saved} had returned, and there is no run`;
    RunFolder.create(dir, config).close();
    return undefined;
  }
  // What `best` names, where there is one: it moves first.
  const opened = saved > 0 ? Number(openCheckpoint(dir).progress.epoch) : saved;
  const { run: resumed, checkpoint, notes } = RunFolder.resume(dir, config, { keep: 2 });
  try {
    const step = Number(checkpoint?.progress.epoch ?? 0);
    if (step !== saved && step !== saved + 1) return `save ${saved} had returned, and ${step} was found`;
    if (opened > saved + 1) return `save ${saved} had returned, and ${opened} was opened`;
    if (checkpoint !== undefined && !isDeepStrictEqual(checkpoint.networks, save(step).networks))
      return "other weights";
    const told = notes.filter((note) => !note.startsWith('there was no link "last"'));
    if (told.length > 0) return told.join("; ");
    const logged = readMetrics(dir).map(({ epoch }) => epoch);
    if (!isDeepStrictEqual(logged, saves.slice(0, step))) return `metrics of epochs ${logged}, not 1 to ${step}`;
    resumed.save(save(9));
  } finally {
    resumed.close();
  }
  return openCheckpoint(join(dir, "last")).progress.epoch === 9 ? undefined : "the next save is not the last";
}

const states = [...disk.states()];
console.log(`${disk.length} calls and marks, ${states.length} different states`);
// What the checks write need not survive.
intercept(["fsyncSync"], () => undefined);

await tryAll("crash-states", run, (index): Trial | undefined => {
  if (index >= states.length) return undefined;
  const state = states[index];
  const place = join(folder, String(index));
  mkdirSync(place);
  disk.restore(state, place, gone);
  const what = state.mark === 0 ? "beginning and first save" : `save ${state.mark + 1}`;
  const described = `after call ${state.before}, lost ${[...state.lost].join(" ") || "nothing"}, torn ${state.torn ?? "nothing"}`;
  let wrong: string | undefined;
  try {
    wrong = fault(state, join(place, "run"));
  } catch (error) {
    wrong = String(error);
  }
  rmSync(place, { recursive: true, force: true });
  if (wrong === undefined) return { what, outcome: "old or new" };
  return { what, outcome: "wrong", wrong: `${wrong} (${described})` };
});
