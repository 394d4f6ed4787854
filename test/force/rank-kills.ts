/**
 * Ends one of the ranks of a training by SIGKILL at random moments, starts the job again, and compares its end with that of one
 * process that nothing cut: to the bit.
 *
 *     npx tsx test/force/rank-kills.ts --seed 1 --count 20 --seconds 3600
 */
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { Random } from "../../src/utils/random.ts";
import { lab, type Target, targets, uncutOf } from "./lab.ts";
import { startRanks } from "./program.ts";
import { given, type Trial, tryAll } from "./trials.ts";

const run = given({ count: 4, seconds: 600 });
const ranks = 2;
const mostKills = 3;
/** Ranks share two cores, and start up more slowly than one process. */
const slower = 2;

const shards = ["--shards", String(ranks)];
const tried = targets
  .filter(({ command }) => command("").includes("--cv_dir"))
  .map((target): Target => {
    const command = (out: string) => [...target.command(out), ...shards];
    const again = (out: string) => [...target.again(out)!, ...shards];
    return { ...target, name: `${target.name} in ${ranks} shards`, command, again };
  });

/** Which rank is to be ended, and when. */
interface Kill {
  readonly rank: number;
  readonly afterMs: number;
}

const killer = (withinMs: number, random: Random): Kill => ({
  rank: random.integer(ranks),
  afterMs: random.uniform() * withinMs,
});

/** Runs the ranks to their end, which is maybe this kill: `killed` says so. */
async function endedBy(args: readonly string[], kill: Kill | undefined) {
  const { child, ended } = startRanks(ranks, args);
  let killed: string | undefined;
  const end = ({ rank, afterMs }: Kill) => {
    // Linux lists a process's children by their age.
    const children = readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, "utf8").trim().split(" ");
    const pid = Number(children[rank]);
    if (pid > 0 && process.kill(pid, "SIGKILL")) killed = `rank ${rank} after ${Math.round(afterMs)} ms`;
  };
  const timer = kill && setTimeout(() => end(kill), kill.afterMs);
  const { code, stderr } = await ended;
  clearTimeout(timer);
  return { code, stderr, killed };
}

async function attempt(target: Target, random: Random, index: number): Promise<Trial> {
  const { result, ms } = await uncutOf(target);
  const out = join(lab, `ranks-${index}`);
  rmSync(out, { recursive: true, force: true });
  const cuts: string[] = [];
  const wrong = (text: string): Trial => ({
    ...{ what: target.name, outcome: "wrong" },
    wrong: `${text}; killed ${cuts.join(", ")}; ${out}`,
  });
  for (let left = mostKills; ; left--) {
    const args = cuts.length === 0 ? target.command(out) : target.again(out)!;
    const { code, stderr, killed } = await endedBy(args, left > 0 ? killer(slower * ms, random) : undefined);
    if (code === 0) break;
    if (killed === undefined) return wrong(`ended with ${code}: ${stderr}`);
    cuts.push(killed);
  }
  if (!isDeepStrictEqual(target.result(out), result)) return wrong("differs from one process that nothing cut");
  rmSync(out, { recursive: true, force: true });
  return { what: target.name, outcome: "equal", sum: { kills: cuts.length } };
}

await tryAll("kills of a rank", run, (index, random) => attempt(tried[index % tried.length], random, index));
