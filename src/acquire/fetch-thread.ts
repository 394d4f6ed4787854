/** A thread of fetcher.ts: fetches from servers while the networks keep the main one busy. */
import { setMaxListeners } from "node:events";
import { writeFile } from "node:fs/promises";
import { parentPort, workerData } from "node:worker_threads";
import { readAddress } from "../archive/document.ts";
import { type ErrorKind, type Fault, PatchDropError } from "../errors.ts";
import { systemFault } from "../files/atomic.ts";
import { HostTurns } from "../utils/host-turns.ts";
import type { ByteSource } from "./byte-source.ts";
import { HttpFile, type HttpOptions, type KnownFile } from "./http-file.ts";
import { type Counted, Ledger, type Purpose } from "./ledger.ts";
import type { ByteRange } from "./plan.ts";

/** What the thread is started with. */
export interface FetchSetup {
  /** To a host at a time. */
  readonly requests: number | undefined;
}

/** All of a file, into one on this machine. */
export interface WholeTask {
  readonly kind: "whole";
  readonly url: string;
  readonly path: string;
  readonly mostBytes: number;
}

/** A file of which ranges are asked for later; `known` where its beginning has been read. */
export interface OpenTask {
  readonly kind: "open";
  readonly file: number;
  readonly url: string;
  readonly known: KnownFile | undefined;
  readonly options: Pick<HttpOptions, "wholeFile" | "mostBytes" | "timeoutMs" | "pauseMs" | "pace">;
}

export interface RangeTask {
  readonly kind: "range";
  readonly file: number;
  readonly range: ByteRange;
  readonly purpose: Purpose;
}

/** The files of one scene are a group, which has a ledger and an end. */
export type FetchMessage =
  | { readonly id: number; readonly task: WholeTask }
  | { readonly id: number; readonly group: number; readonly task: OpenTask | RangeTask }
  | { readonly ended: number };

/** What is known of a file once it is open. */
export type OpenedFile = Pick<ByteSource, "where" | "size" | "first">;

/** Errors lose their class on the way between threads. */
export interface FetchReply {
  readonly id: number;
  readonly value?: OpenedFile | Uint8Array | undefined;
  /** What the group has read since the last reply. */
  readonly counted?: Counted;
  readonly error?: { readonly kind: ErrorKind; readonly faults: readonly Fault[] };
  /** Whether it is this machine that could not take the file. */
  readonly isOfDisk?: boolean;
}

interface Group {
  readonly ledger: Ledger;
  readonly ended: AbortController;
  readonly files: Map<number, ByteSource>;
}

const { requests } = workerData as FetchSetup;
const turns = new HostTurns(requests);
const forever = new AbortController().signal;
// Many requests wait for the one signal.
setMaxListeners(0, forever);
const groups = new Map<number, Group>();
const port = parentPort!;

port.on("message", (message: FetchMessage) => {
  if ("ended" in message) endGroup(message.ended);
  else if ("group" in message) void workFor(groupOf(message.group), message.id, message.task);
  else void fetchWhole(message.task).then((reply) => port.postMessage({ id: message.id, ...reply }));
});

async function fetchWhole({ url, path, mostBytes }: WholeTask): Promise<Omit<FetchReply, "id">> {
  try {
    const limits = { mostBytes, what: "an image that is fetched", signal: forever };
    const bytes = await turns.at(url, () => readAddress(url, limits));
    return await writeFile(path, bytes).then(
      () => ({}),
      (error) => ({ ...failed(systemFault("could not be written", path, bytes.length, error)), isOfDisk: true }),
    );
  } catch (error) {
    return failed(error);
  }
}

async function workFor(group: Group, id: number, task: OpenTask | RangeTask): Promise<void> {
  const isOver = () => group.ended.signal.aborted;
  const done = await (task.kind === "open" ? openFile(group, task) : fetchRange(group, task)).catch((error) =>
    isOver() ? {} : failed(error),
  );
  // Nobody waits for what was given up.
  if (isOver()) return;
  const { value } = done as Omit<FetchReply, "id">;
  const transferred = value instanceof Uint8Array ? [value.buffer as ArrayBuffer] : [];
  port.postMessage({ id, ...done, counted: group.ledger.take() } satisfies FetchReply, transferred);
}

async function openFile({ ledger, ended, files }: Group, { file, url, known, options }: OpenTask) {
  const own = { ...options, ledger, turns, signal: ended.signal };
  const opened = known === undefined ? await HttpFile.open(url, own) : HttpFile.of(url, known, own);
  files.set(file, opened);
  const { where, size, first } = opened;
  return { value: { where, size, first } };
}

async function fetchRange({ files }: Group, { file, range, purpose }: RangeTask) {
  return { value: await files.get(file)!.fetch(range, purpose) };
}

function groupOf(number: number): Group {
  const group = groups.get(number) ?? { ledger: new Ledger(), ended: new AbortController(), files: new Map() };
  groups.set(number, group);
  setMaxListeners(0, group.ended.signal);
  return group;
}

function endGroup(number: number): void {
  const group = groups.get(number);
  groups.delete(number);
  group?.ended.abort();
  for (const file of group?.files.values() ?? []) void file.close();
}

function failed(error: unknown): Pick<FetchReply, "error"> {
  if (!(error instanceof PatchDropError)) throw error;
  return { error: { kind: error.kind, faults: error.faults.map(handedOver) } };
}

/** What was found may be anything, and goes as it is shown. */
function handedOver({ got, causes, ...fault }: Fault): Fault {
  return { ...fault, causes: causes?.map(handedOver), ...(got === undefined ? {} : { got: String(got) }) };
}
