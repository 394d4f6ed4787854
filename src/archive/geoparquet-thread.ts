/** A thread of geoparquet.ts: reads one file. */
import { parentPort, workerData } from "node:worker_threads";
import { type ErrorKind, type Fault, PatchDropError } from "../errors.ts";
import { countRows, type RowRange, rowsAsItems, type Wanted } from "./geoparquet-rows.ts";

/** What the thread is started with. */
export interface RowsTask {
  /** The file's bytes, or its path. */
  readonly source: Uint8Array | string;
  /** Names the file in errors. */
  readonly where: string;
  readonly wanted: Wanted;
  /** All when absent. */
  readonly rows?: RowRange;
  /** Whether only the number of rows is asked for. */
  readonly counts: boolean;
}

/** Errors lose their class on the way between threads. */
export type RowsReply = { readonly answer: unknown } | { readonly kind: ErrorKind; readonly faults: readonly Fault[] };

const { source, where, wanted, rows, counts } = workerData as RowsTask;
const work: Promise<unknown> = counts ? countRows(source, where) : rowsAsItems(source, where, wanted, rows);
parentPort!.postMessage(
  await work.then(
    (answer): RowsReply => ({ answer }),
    (error): RowsReply => {
      if (!(error instanceof PatchDropError)) throw error;
      return { kind: error.kind, faults: error.faults };
    },
  ),
);
