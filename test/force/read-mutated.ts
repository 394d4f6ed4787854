/** The process that mutated.ts gives its inputs to: a crash ends this one. It reads blocks as it is told their numbers. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Random } from "../../src/utils/random.ts";
import { mutated } from "./mutate.ts";
import { faultOf, makeReaders, type Reader } from "./readers.ts";
import type { Trial } from "./trials.ts";

// A lock that is not yet whole is looked at twice, with a tenth of a second between: nothing but waiting here.
Atomics.wait = () => "timed-out";

const longestMs = 1000;
const mostMib = 1024;

const [seed, block, only] = process.argv.slice(2);
const folder = mkdtempSync(join(tmpdir(), "patchdrop-mutated-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const readers = (await makeReaders(folder)).filter(({ name }) => only === undefined || name === only);
if (readers.length === 0) throw new Error(`no reader ${only}`);

/** Milliseconds that an input took, and what was wrong with how it ended. */
async function tryInput(
  { wrap, read }: Reader,
  bytes: Buffer,
): Promise<{ ms: number; wrong: string | undefined; taken: boolean }> {
  const input = wrap?.(bytes) ?? bytes;
  const began = performance.now();
  try {
    await read(input);
    return { ms: performance.now() - began, wrong: undefined, taken: true };
  } catch (error) {
    return { ms: performance.now() - began, wrong: faultOf(error), taken: false };
  }
}

/** What the largest set of pages was so far. */
const mostResidentMib = () => process.resourceUsage().maxRSS / 1024;

async function tryBlock(index: number): Promise<Trial> {
  const reader = readers[index % readers.length];
  const random = new Random(Number(seed), "mutated", index);
  let [slowestMs, taken] = [0, 0];
  const wrong: string[] = [];
  const before = mostResidentMib();
  for (let n = 0; n < Number(block); n++) {
    const bytes = mutated(reader.seeds, random);
    let tried = await tryInput(reader, bytes);
    // Another process may have had the processor.
    if (tried.ms > longestMs) tried = await tryInput(reader, bytes);
    slowestMs = Math.max(slowestMs, tried.ms);
    taken += tried.taken ? 1 : 0;
    const slow = tried.ms > longestMs ? `took ${Math.round(tried.ms)} ms` : undefined;
    const fault = tried.wrong ?? slow;
    if (fault !== undefined)
      wrong.push(`input ${n}, ${bytes.length} bytes, base64 ${bytes.toString("base64").slice(0, 400)}: ${fault}`);
  }
  const grown = mostResidentMib() - before;
  if (grown > mostMib) wrong.push(`${Math.round(grown)} MiB more`);
  const most = { "slowest ms": slowestMs, "MiB in all": mostResidentMib() };
  const outcome = wrong.length === 0 ? "read or refused" : "wrong";
  return { what: reader.name, outcome, wrong: wrong[0], inputs: Number(block), most, sum: { read: taken } };
}

process.on("message", async (index: number) => process.send?.(await tryBlock(index)));
process.on("disconnect", () => process.exit());
process.send?.("ready");
