/**
 * STAC items of a GeoParquet file that nobody vouches for: they are read on a thread of their own (geoparquet-thread.ts), which is ended when
 * it takes too long or too much memory. What a damaged file says of its own counts can keep the reader of Parquet busy for ever.
 */
import { setTimeout as delay } from "node:timers/promises";
import { fault } from "../errors.ts";
import { startThread } from "../utils/start-thread.ts";
import type { RowsReply, RowsTask } from "./geoparquet-thread.ts";

/** Ample for as many items as a file may have. */
const usualMs = 60_000;
const mostHeapMb = 2048;

/** @returns what should be items: nothing of it has been checked @throws input: not a whole GeoParquet file of items; resource */
export async function readGeoParquet(task: Omit<RowsTask, "counts">, mostMs = usualMs): Promise<unknown[]> {
  return (await read({ ...task, counts: false }, mostMs)) as unknown[];
}

/** How many rows the file at a path has. @throws input: not a whole GeoParquet file of items; resource */
export async function readRowCount(path: string, mostMs = usualMs): Promise<number> {
  const wanted = { properties: [], mostItems: Number.MAX_SAFE_INTEGER };
  return (await read({ source: path, where: path, wanted, counts: true }, mostMs)) as number;
}

async function read(task: RowsTask, mostMs: number): Promise<unknown> {
  const worker = startThread("geoparquet-thread", import.meta.url, task, { maxOldGenerationSizeMb: mostHeapMb });
  const late = new AbortController();
  try {
    const reply = await Promise.race([
      new Promise<RowsReply>((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
        worker.once("exit", () => reject(new Error("its reader ended")));
      }),
      delay(mostMs, undefined, { signal: late.signal, ref: false }),
    ]).catch((error: Error) => error);
    if (reply === undefined) throw tooMuch(task, `${mostMs / 1000} s`, "no end of it");
    if (reply instanceof Error) throw tooMuch(task, `${mostHeapMb} MiB of memory`, reply.message);
    if ("answer" in reply) return reply.answer;
    throw fault(reply.kind, reply.faults);
  } finally {
    late.abort();
    await worker.terminate();
  }
}

function tooMuch({ where }: RowsTask, limit: string, got: string) {
  const next = "fetch it again if it is damaged, or cut it into smaller ones";
  return fault("resource", { where, rule: `must be read within ${limit}`, got, next });
}
