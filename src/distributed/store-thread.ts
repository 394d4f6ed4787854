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
  /** Shared: how many questions have been answered. */
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
  | { readonly kind: ErrorKind; readonly faults: readonly Fault[] };

const { address, member, port, answers } = workerData as StoreSetup;
let rounds: StoreRounds | undefined;

port.on("message", async (question: StoreQuestion) => {
  port.postMessage(await answer(question).catch(wordsOf));
  Atomics.add(answers, 0, 1);
  Atomics.notify(answers, 0);
});

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
  const got = error instanceof Error ? error.message : String(error);
  return { kind: "internal", faults: [{ where: "torchrun's store", rule: "must be understood", got }] };
}
