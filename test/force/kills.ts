/**
 * Ends every kind of command at random moments, by SIGKILL and by signals that can be heeded, goes on, and compares the end
 * with that of a command that nothing cut: to the bit.
 *
 *     npx tsx test/force/kills.ts --seed 1 --count 1000 --seconds 36000 --record kills.jsonl
 */
import { rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Random } from "../../src/utils/random.ts";
import { lab, named, type Target, targets, uncutOf } from "./lab.ts";
import { type Ended, start } from "./program.ts";
import { given, type Trial, tryAll } from "./trials.ts";

const run = given({ count: 14, seconds: 600 });
const tried = run.only === undefined ? targets : [named(run.only)];
const mostCuts = 3;
const heeded = ["SIGTERM", "SIGINT", "SIGHUP", "SIGUSR1", "SIGUSR2"] as const;

/** Six of ten are kills. */
function signalBy(random: Random): NodeJS.Signals {
  return random.uniform() < 0.6 ? "SIGKILL" : heeded[random.integer(heeded.length)];
}

/** How a command that was sent a signal may end: by it, with its code after a save, or done before. */
function isOrderly({ code, signal: by }: Ended, signal: NodeJS.Signals): boolean {
  return by === signal || code === 0 || code === 128 + constants.signals[signal];
}

interface Cut {
  readonly ended: Ended;
  readonly signal: NodeJS.Signals;
  readonly afterMs: number;
}

/** Starts a command and ends it at a moment of the time that it took when nothing cut it. */
async function cutOnce(args: readonly string[], uncutMs: number, random: Random): Promise<Cut> {
  const [signal, afterMs] = [signalBy(random), random.uniform() * uncutMs];
  const { child, ended } = start(args);
  const timer = setTimeout(() => child.kill(signal), afterMs);
  const end = await ended;
  clearTimeout(timer);
  return { ended: end, signal, afterMs };
}

async function attempt(target: Target, random: Random, index: number): Promise<Trial> {
  const { result, ms } = await uncutOf(target);
  const out = join(lab, `cut-${index}`);
  rmSync(out, { recursive: true, force: true });
  const cuts: Cut[] = [];
  const said = () => cuts.map(({ signal, afterMs }) => `${signal} after ${Math.round(afterMs)} ms`).join(", ");
  const wrong = (text: string): Trial => ({ what: target.name, outcome: "wrong", wrong: `${text}; ${said()}; ${out}` });
  let args: string[] | undefined = target.command(out);
  for (let more = true; more && args !== undefined; more = cuts.length < mostCuts && random.uniform() < 0.5) {
    const cut = await cutOnce(args, ms, random);
    cuts.push(cut);
    if (!isOrderly(cut.ended, cut.signal)) return wrong(`ended with ${cut.ended.code}: ${cut.ended.stderr}`);
    args = cut.ended.code === 0 ? undefined : target.again(out);
  }
  if (args !== undefined) {
    const { code, signal, stderr } = await start(args).ended;
    if (code !== 0) return wrong(`could not be continued, ${code ?? signal}: ${stderr.trim()}`);
  }
  if (!isDeepStrictEqual(target.result(out), result)) return wrong("differs from the uncut one");
  rmSync(out, { recursive: true, force: true });
  const kills = cuts.filter(({ ended }) => ended.signal === "SIGKILL").length;
  return { what: target.name, outcome: "equal", sum: { cuts: cuts.length, "by SIGKILL": kills } };
}

await tryAll("kills", run, (index, random) => attempt(tried[index % tried.length], random, index));
