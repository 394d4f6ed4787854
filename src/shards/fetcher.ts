/** Fetches files of servers on a thread of its own (fetch-thread.ts), since the networks leave the main one no time for answers. */

import type { Worker } from "node:worker_threads";
import { fault, type PatchDropError } from "../errors.ts";
import { startThread } from "../utils/start-thread.ts";
import type { FetchReply, FetchSetup, FetchTask } from "./fetch-thread.ts";

interface Fetching {
  readonly resolve: (error: PatchDropError | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class Fetcher {
  readonly #worker: Worker;
  readonly #underway = new Map<number, Fetching>();
  #count = 0;

  constructor(setup: FetchSetup) {
    this.#worker = startThread("fetch-thread", import.meta.url, setup);
    this.#worker.on("message", (reply: FetchReply) => this.#end(reply));
    this.#worker.on("error", (error: Error) => this.#fail(error));
    this.#worker.on("exit", () => this.#fail(new Error("the thread that fetches ended")));
  }

  /** @returns what was wrong with the file; undefined where it is there @throws system: this machine could not take it */
  fetch(url: string, path: string): Promise<PatchDropError | undefined> {
    const id = this.#count++;
    return new Promise((resolve, reject) => {
      this.#underway.set(id, { resolve, reject });
      this.#worker.postMessage({ id, url, path } satisfies FetchTask);
    });
  }

  async end(): Promise<void> {
    await this.#worker.terminate();
  }

  #end({ id, error, isOfDisk = false }: FetchReply): void {
    const { resolve, reject } = this.#underway.get(id)!;
    this.#underway.delete(id);
    const wrong = error && fault(error.kind, error.faults);
    if (isOfDisk && wrong !== undefined) reject(wrong);
    else resolve(wrong);
  }

  #fail(error: Error): void {
    for (const { reject } of this.#underway.values()) reject(error);
    this.#underway.clear();
  }
}
