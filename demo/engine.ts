/** The page's side of worker.ts: each call is a promise. */
import type { Call, CallName, Calls, Reply } from "./worker.ts";

interface Waiting {
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

export class Engine {
  readonly #worker = new Worker(new URL("./worker.ts", import.meta.url), { type: "module" });
  readonly #waiting = new Map<number, Waiting>();
  #calls = 0;

  constructor() {
    this.#worker.addEventListener("message", ({ data }: MessageEvent<Reply>) => {
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if ("error" in data) waiting?.reject(new Error(data.error));
      else waiting?.resolve(data.result as never);
    });
    this.#worker.addEventListener("error", ({ message }) => {
      const error = new Error(message || "the networks' thread could not be started");
      for (const { reject } of this.#waiting.values()) reject(error);
      this.#waiting.clear();
    });
  }

  call<N extends CallName>(name: N, argument: Parameters<Calls[N]>[0]): ReturnType<Calls[N]> {
    const id = this.#calls++;
    const result = new Promise((resolve, reject) => this.#waiting.set(id, { resolve, reject }));
    this.#worker.postMessage({ id, name, argument } satisfies Call);
    return result as ReturnType<Calls[N]>;
  }
}
