/** A thread of geoparquet.ts: reads one file. */
import { parentPort, workerData } from "node:worker_threads";
import { type ErrorKind, type Fault, PatchDropError } from "../errors.ts";
import { rowsAsItems, type Wanted } from "./geoparquet-rows.ts";

/** What the thread is started with. */
export interface RowsTask {
  readonly bytes: Uint8Array;
  /** Names the file in errors. */
  readonly where: string;
  readonly wanted: Wanted;
}

/** Errors lose their class on the way between threads. */
export type RowsReply = { readonly rows: unknown[] } | { readonly kind: ErrorKind; readonly faults: readonly Fault[] };

const { bytes, where, wanted } = workerData as RowsTask;
parentPort!.postMessage(
  await rowsAsItems(bytes, where, wanted).then(
    (rows): RowsReply => ({ rows }),
    (error): RowsReply => {
      if (!(error instanceof PatchDropError)) throw error;
      return { kind: error.kind, faults: error.faults };
    },
  ),
);
