/** A thread of store-meeting.ts: talks to the store while the rank itself waits. */
import { type MessagePort, workerData } from "node:worker_threads";
import { type ErrorKind, type Fault, PatchDropError } from "../errors.ts";
import { RankEnded } from "./meeting.ts";
import { type Member, StoreRounds } from "./store-rounds.ts";
import { type StoreAddress, TcpStore } from "./tcp-store.ts";

/** What the thread is started with. */
export interface StoreSetup {
  readonly address: StoreAddress;
  readonly member: Member;
  readonly port: MessagePort;
  /** Shared: how many answers there were. The first is to no question: that the thread has started. */
  readonly answers: Int32Array;
}

/** A question of the rank, which waits for the answer. */
export type StoreQuestion =
  | { readonly is: "meet"; readonly timeoutMs: number }
  | { readonly is: "exchange"; readonly value: Uint8Array; readonly timeoutMs: number }
  | { readonly is: "end"; readonly exitCode: number };

export type StoreAnswer =
  | { readonly values: readonly Uint8Array[] }
  /** {@link RankEnded} */
  | { readonly ended: number }
  | { readonly kind: ErrorKind; readonly faults: readonly Fault[] }
  /** The last word of a thread that ends, and why. */
  | { readonly died: string };

const { address, member, port, answers } = workerData as StoreSetup;
let rounds: StoreRounds | undefined;

// The rank would wait for an answer that nobody gives.
process.on("uncaughtExceptionMonitor", (error) => say({ died: messageOf(error) }));
port.on("message", async (question: StoreQuestion) => say(await answer(question).catch(wordsOf)));
say({ values: [] });

function say(words: StoreAnswer): void {
  port.postMessage(words);
  Atomics.add(answers, 0, 1);
  Atomics.notify(answers, 0);
}

async function answer(question: StoreQuestion): Promise<StoreAnswer> {
  if (question.is === "meet") {
    rounds = await StoreRounds.meet(await TcpStore.connect(address), member, question.timeoutMs);
    return { values: [] };
  }
  if (question.is === "exchange") return { values: await rounds!.exchange(question.value, question.timeoutMs) };
  await rounds!.end(question.exitCode);
  return { values: [] };
}

/** Errors lose their class on the way between threads. */
function wordsOf(error: unknown): StoreAnswer {
  if (error instanceof RankEnded) return { ended: error.exitCode };
  if (error instanceof PatchDropError) return { kind: error.kind, faults: error.faults };
  const got = messageOf(error);
  return { kind: "internal", faults: [{ where: "torchrun's store", rule: "must be understood", got }] };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
