/**
 * How ranks meet that torchrun has started: in the store of its agent. A thread talks to it (store-thread.ts), so that the rank itself
 * can wait as it does with MPI.
 */
import { deserialize, serialize } from "node:v8";
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { fault } from "../errors.ts";
import { startThread } from "../utils/start-thread.ts";
import { type Meeting, RankEnded } from "./meeting.ts";
import type { Member } from "./store-rounds.ts";
import type { StoreAnswer, StoreQuestion, StoreSetup } from "./store-thread.ts";
import type { StoreAddress } from "./tcp-store.ts";

/** PyTorch's own limits (`Store::kDefaultTimeout`, and that of a process group on CPUs): for a rank to come, and for its work. */
const timeouts = { meetMs: 300_000, exchangeMs: 1_800_000 } as const;

export class StoreMeeting implements Meeting {
  readonly rank: number;
  readonly size: number;
  readonly #port: MessagePort;
  readonly #thread: Worker;
  readonly #answers = new Int32Array(new SharedArrayBuffer(4));

  /** Waits for all ranks. @throws system: no store, or a rank that does not come */
  constructor(address: StoreAddress, member: Member, timeoutMs: number = timeouts.meetMs) {
    this.rank = member.rank;
    this.size = member.size;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    const setup: StoreSetup = { address, member, port: port2, answers: this.#answers };
    this.#thread = startThread("store-thread", import.meta.url, setup, [port2]);
    this.#thread.unref();
    this.#ask({ is: "meet", timeoutMs });
  }

  exchange<T>(value: T): T[] {
    const values = this.#ask({ is: "exchange", value: serialize(value), timeoutMs: timeouts.exchangeMs });
    return values.map((bytes) => deserialize(bytes) as T);
  }

  leave(): void {
    void this.#thread.terminate();
  }

  /** Those that wait for this rank end as it does; torchrun ends the others. */
  abort(exitCode: number): void {
    try {
      this.#ask({ is: "end", exitCode });
    } catch {
      // The store is gone, and torchrun with it.
    }
  }

  /** Waits for the thread's answer, which has a time-out of its own. */
  #ask(question: StoreQuestion): readonly Uint8Array[] {
    const before = Atomics.load(this.#answers, 0);
    this.#port.postMessage(question);
    Atomics.wait(this.#answers, 0, before);
    const { message } = receiveMessageOnPort(this.#port) as { message: StoreAnswer };
    if ("values" in message) return message.values;
    if ("ended" in message) throw new RankEnded(message.ended);
    throw fault(message.kind, message.faults);
  }
}
