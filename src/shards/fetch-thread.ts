/** A thread of fetcher.ts: fetches files while the networks keep the main one busy. */
import { setMaxListeners } from "node:events";
import { writeFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { readAddress } from "../archive/document.ts";
import { type ErrorKind, type Fault, PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { HostTurns } from "../utils/host-turns.ts";

/** What the thread is started with. */
export interface FetchSetup {
  /** To a host at a time. */
  readonly requests: number | undefined;
  readonly mostBytes: number;
}

export interface FetchTask {
  readonly id: number;
  readonly url: string;
  /** Where the file goes. */
  readonly path: string;
}

/** Errors lose their class on the way between threads. */
export interface FetchReply {
  readonly id: number;
  readonly error?: { readonly kind: ErrorKind; readonly faults: readonly Fault[] };
  /** Whether it is this machine that could not take the file. */
  readonly isOfDisk?: boolean;
}

const { requests, mostBytes } = workerData as FetchSetup;
const turns = new HostTurns(requests);
const limits = { mostBytes, what: "an image that is fetched", signal: new AbortController().signal };
// Many requests wait for the one signal.
setMaxListeners(0, limits.signal);
const port = parentPort!;
port.on("message", (task: FetchTask) => void work(task).then((reply) => port.postMessage(reply)));

async function work({ id, url, path }: FetchTask): Promise<FetchReply> {
  try {
    const bytes = await turns.at(url, () => readAddress(url, limits));
    return await writeFile(path, bytes).then(
      () => ({ id }),
      (error) => ({ ...replyOf(id, systemFault("could not be written", path, bytes.length, error)), isOfDisk: true }),
    );
  } catch (error) {
    return replyOf(id, error);
  }
}

function replyOf(id: number, error: unknown): FetchReply {
  if (!(error instanceof PatchDropError)) throw error;
  // What was found may be anything, and goes as it is shown.
  const faults = error.faults.map(({ where, rule, got, next }) => ({
    ...{ where, rule, next },
    ...(got === undefined ? {} : { got: String(got) }),
  }));
  return { id, error: { kind: error.kind, faults } };
}
