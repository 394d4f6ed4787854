/**
 * Gives damaged inputs to every reader of what others wrote: each must be read, or refused in one line, within a second and
 * without a gibibyte more of memory. A trial is a block of inputs of one reader. They are read in a process of their own,
 * whose end by itself is what must not be.
 *
 *     npx tsx test/force/mutated.ts --count 50000 --seconds 36000 --record mutated.jsonl
 *     npx tsx test/force/mutated.ts --only TIFF --count 100
 */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { given, type Trial, tryAll } from "./trials.ts";

const block = 200;
/** A block that says nothing for so long hangs. */
const limitMs = 600_000;

const run = given({ count: 100, seconds: 600 });
let reader: ChildProcess | undefined;

async function started(): Promise<ChildProcess> {
  const given = [String(run.seed), String(block), ...(run.only === undefined ? [] : [run.only])];
  const child = fork(fileURLToPath(new URL("read-mutated.ts", import.meta.url)), given);
  const [said] = await Promise.race([once(child, "message"), once(child, "exit")]);
  if (said !== "ready") throw new Error(`the readers could not be made: ${said}`);
  return child;
}

/** What a process finds in a block; a text where it ends, or says nothing. */
async function answerOf(child: ChildProcess, index: number): Promise<Trial | string> {
  const over = new AbortController();
  const timer = setTimeout(() => over.abort(), limitMs);
  const { signal } = over;
  const answer = once(child, "message", { signal }).then(([trial]) => trial as Trial);
  const end = once(child, "exit", { signal }).then(([code, by]) => `ended by itself with ${code ?? by}`);
  child.send(index);
  try {
    return await Promise.race([answer, end]);
  } catch {
    return `said nothing for ${limitMs} ms`;
  } finally {
    clearTimeout(timer);
    over.abort();
    await Promise.allSettled([answer, end]);
  }
}

await tryAll("mutated", run, async (index): Promise<Trial> => {
  reader ??= await started();
  const trial = await answerOf(reader, index);
  if (typeof trial !== "string") return trial;
  reader.kill("SIGKILL");
  reader = undefined;
  return { what: "process", outcome: "wrong", wrong: `${trial}; again: --from ${index} --count 1` };
});
reader?.disconnect();
