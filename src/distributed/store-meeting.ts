/**
 * How ranks meet that torchrun has started: in the store of its agent. A thread talks to it (store-thread.ts), so that the rank itself
 * can wait as it does with MPI.
 */
import { deserialize, serialize } from "node:v8";
import { MessageChannel, type MessagePort, receiveMessageOnPort, type Worker } from "node:worker_threads";
import { fault, type PatchDropError } from "../errors.ts";
import { startThread } from "../utils/start-thread.ts";
import { type Meeting, RankEnded } from "./meeting.ts";
import type { Member } from "./store-rounds.ts";
import type { StoreAnswer, StoreQuestion, StoreSetup } from "./store-thread.ts";
import type { StoreAddress } from "./tcp-store.ts";

export interface MeetingLimits {
  /** For a rank to come. */
  readonly meetMs: number;
  /** For a rank's work. */
  readonly exchangeMs: number;
  /** For what the thread does besides: to start, to connect, to hear the store's answers. */
  readonly threadMs: number;
}

/** The first two are PyTorch's own (`Store::kDefaultTimeout`, and that of a process group on CPUs). */
const usual: MeetingLimits = { meetMs: 300_000, exchangeMs: 1_800_000, threadMs: 180_000 };

export class StoreMeeting implements Meeting {
  readonly rank: number;
  readonly size: number;
  readonly #port: MessagePort;
  readonly #thread: Worker;
  readonly #limits: MeetingLimits;
  readonly #answers = new Int32Array(new SharedArrayBuffer(4));
  /** How many of the answers were waited for. */
  #heard = 0;
  /** Set when the thread is gone, and can't be asked any more. */
  #gone: PatchDropError | undefined;

  /** Waits for all ranks. @throws system: no store, or a rank that does not come */
  constructor(address: StoreAddress, member: Member, limits = usual) {
    this.rank = member.rank;
    this.size = member.size;
    const { port1, port2 } = new MessageChannel();
    this.#port = port1;
    this.#limits = limits;
    const setup: StoreSetup = { address, member, port: port2, answers: this.#answers };
    this.#thread = startThread("store-thread", import.meta.url, setup, { transferList: [port2] });
    this.#thread.unref();
    // Whoever asks next hears of it.
    this.#thread.on("error", () => undefined);
    this.#answer(0);
    // First for the first rank's word, then for all others.
    this.#ask({ is: "meet", timeoutMs: limits.meetMs }, 2 * limits.meetMs);
  }

  exchange<T>(value: T): T[] {
    const { exchangeMs } = this.#limits;
    const values = this.#ask({ is: "exchange", value: serialize(value), timeoutMs: exchangeMs }, exchangeMs);
    return values.map((bytes, rank) => understood(bytes, rank) as T);
  }

  leave(): void {
    void this.#thread.terminate();
  }

  /** Those that wait for this rank end as it does; torchrun ends the others. */
  abort(exitCode: number): void {
    try {
      this.#ask({ is: "end", exitCode }, 0);
    } catch {
      // The store is gone, and torchrun with it.
    }
  }

  /** @param ranksMs how long the thread may wait for other ranks */
  #ask(question: StoreQuestion, ranksMs: number): readonly Uint8Array[] {
    if (this.#gone !== undefined) throw this.#gone;
    this.#port.postMessage(question);
    return this.#answer(ranksMs);
  }

  /** Waits for the thread's next answer. It has time-outs of its own: the limit is for a thread that has ended without a word. */
  #answer(ranksMs: number): readonly Uint8Array[] {
    const limitMs = ranksMs + this.#limits.threadMs;
    Atomics.wait(this.#answers, 0, this.#heard++, limitMs);
    const received = receiveMessageOnPort(this.#port) as { message: StoreAnswer } | undefined;
    const message = received?.message ?? { died: `nothing within ${limitMs / 1000} s` };
    if ("values" in message) return message.values;
    if ("ended" in message) throw new RankEnded(message.ended);
    if ("died" in message) throw this.#lost(message.died);
    throw fault(message.kind, message.faults);
  }

  #lost(got: string): PatchDropError {
    void this.#thread.terminate();
    const rule = "the thread that talks to it must live, and answer";
    const next = "see whether this machine has memory left, and start again";
    this.#gone = fault("system", { where: "torchrun's store", rule, got, next });
    return this.#gone;
  }
}

function understood(bytes: Uint8Array, rank: number): unknown {
  try {
    return deserialize(bytes);
  } catch (error) {
    const rule = "must say what this rank can read";
    const next = "start all ranks with one version of Node and of patchdrop";
    throw fault("system", { where: `rank ${rank}`, rule, got: (error as Error).message, next }, error);
  }
}
