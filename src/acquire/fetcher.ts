/** Fetches from servers on a thread of its own (fetch-thread.ts), since the networks leave the main one no time for answers. */

import type { Worker } from "node:worker_threads";
import { fault, type PatchDropError } from "../errors.ts";
import { startThread } from "../utils/start-thread.ts";
import type { ByteSource } from "./byte-source.ts";
import type { FetchMessage, FetchReply, FetchSetup, OpenedFile, OpenTask, RangeTask } from "./fetch-thread.ts";
import { HttpFile, type HttpOptions } from "./http-file.ts";
import type { Ledger, Purpose } from "./ledger.ts";
import type { ByteRange } from "./plan.ts";

interface Waiting {
  readonly resolve: (reply: FetchReply) => void;
  readonly reject: (error: Error) => void;
}

export class Fetcher {
  readonly #setup: FetchSetup;
  readonly #waiting = new Map<number, Waiting>();
  /** Once there is something to fetch. */
  #worker: Worker | undefined;
  #count = 0;
  #groups = 0;

  constructor(setup: FetchSetup) {
    this.#setup = setup;
  }

  /** All of a file. @returns what was wrong with it; undefined where it is there @throws system: this machine could not take it */
  async fetch(url: string, path: string, mostBytes: number): Promise<PatchDropError | undefined> {
    const id = this.#count++;
    const reply = await this.#ask({ id, task: { kind: "whole", url, path, mostBytes } });
    const wrong = errorIn(reply);
    if (reply.isOfDisk && wrong !== undefined) throw wrong;
    return wrong;
  }

  /** For the files of one scene. @param signal ends all that is under way for it */
  group({ ledger, signal }: { readonly ledger: Ledger; readonly signal: AbortSignal }): FetchGroup {
    const group = this.#groups++;
    signal.addEventListener("abort", () => this.#worker?.postMessage({ ended: group } satisfies FetchMessage));
    return new FetchGroup(async (task) => {
      const reply = await this.#ask({ id: this.#count++, group, task });
      if (reply.counted !== undefined) ledger.add(reply.counted);
      const wrong = errorIn(reply);
      if (wrong !== undefined) throw wrong;
      return reply.value;
    });
  }

  async end(): Promise<void> {
    await this.#worker?.terminate();
  }

  #ask(message: Exclude<FetchMessage, { readonly ended: number }>): Promise<FetchReply> {
    this.#worker ??= this.#start();
    const { id } = message;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { resolve, reject });
      this.#worker!.postMessage(message);
    });
  }

  #start(): Worker {
    const worker = startThread("fetch-thread", import.meta.url, this.#setup);
    worker.on("message", (reply: FetchReply) => {
      this.#waiting.get(reply.id)!.resolve(reply);
      this.#waiting.delete(reply.id);
    });
    worker.on("error", (error: Error) => this.#fail(error));
    worker.on("exit", () => this.#fail(new Error("the thread that fetches ended")));
    return worker;
  }

  #fail(error: Error): void {
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
  }
}

type Ask = (task: OpenTask | RangeTask) => Promise<FetchReply["value"]>;

/** The files of one scene. */
export class FetchGroup {
  readonly #ask: Ask;
  #files = 0;

  constructor(ask: Ask) {
    this.#ask = ask;
  }

  /** As {@link HttpFile.open}, of which the thread reads the ranges. */
  async open(url: string, options: HttpOptions): Promise<ByteSource> {
    const file = this.#files++;
    const { begun, wholeFile, mostBytes, timeoutMs, pauseMs, pace } = options;
    // An answer that has begun can't be handed to another thread.
    const opened = begun === undefined ? undefined : await HttpFile.open(url, options);
    if (opened !== undefined && !(opened instanceof HttpFile)) return opened;
    const known = opened?.known;
    const own = { wholeFile, mostBytes, timeoutMs, pauseMs, pace };
    const said = this.#ask({ kind: "open", file, url, known, options: own }) as Promise<OpenedFile>;
    said.catch(() => undefined);
    const { where, size, first } = opened ?? (await said);
    return {
      ...{ where, size, first: first! },
      fetch: (range: ByteRange, purpose: Purpose) =>
        this.#ask({ kind: "range", file, range, purpose }) as Promise<Uint8Array>,
      close: async () => {},
    };
  }
}

function errorIn({ error }: FetchReply): PatchDropError | undefined {
  return error && fault(error.kind, error.faults);
}
