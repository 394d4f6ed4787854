/**
 * Ranks that meet in a store: they find one another, then exchange values round by round. Nothing of an earlier start of theirs is
 * read: torchrun keeps its store over a restart, and its agents count restarts each by itself, so that only what a process draws
 * at random tells it from the one before it.
 */
import { randomUUID } from "node:crypto";
import { fault, type PatchDropError } from "../errors.ts";
import { RankEnded } from "./meeting.ts";
import type { TcpStore } from "./tcp-store.ts";

export interface Member {
  /** Torchrun's name of the job. */
  readonly job: string;
  readonly rank: number;
  readonly size: number;
}

/** The store takes values of 8 MiB at most (MAX_PAYLOAD_LEN). */
export const pieceBytes = 2 ** 22;
/** 1 GiB of one value: what ranks say is small, and a number of pieces that is not ours must not fill the memory. */
export const mostPieces = 256;
/** Before a value's first piece: how many there are, 32 bits. None is the word of a rank that ends. */
const headBytes = 4;
/** How often the first rank looks who has come. */
const lookEveryMs = 20;

export class StoreRounds {
  readonly #store: TcpStore;
  readonly #member: Member;
  /** What the keys of this start begin with. */
  readonly #session: string;
  #round = 0;
  /** Own keys of the round before: all have read them who have come to this one. */
  #old: readonly string[] = [];

  private constructor(store: TcpStore, member: Member, session: string) {
    this.#store = store;
    this.#member = member;
    this.#session = session;
  }

  /** Waits for all ranks. @throws system: one that does not come */
  static async meet(store: TcpStore, member: Member, timeoutMs: number): Promise<StoreRounds> {
    const own = `${member.job}/${randomUUID()}`;
    const session = member.rank === 0 ? own : await sessionFor(own, store, member, timeoutMs);
    const here = ranksOf(member).map((rank) => `${session}/here/${rank}`);
    store.set(here[member.rank], new Uint8Array());
    const waiting =
      member.rank === 0 ? welcomed({ store, member, session }, here, timeoutMs) : store.wait(here, timeoutMs);
    if (!(await waiting)) throw await absent(store, here, timeoutMs);
    return new StoreRounds(store, member, session);
  }

  /** The values of all ranks. @throws system: one that does not come, or whose value is not whole; resource; RankEnded */
  async exchange(value: Uint8Array, timeoutMs: number): Promise<Uint8Array[]> {
    const ranks = ranksOf(this.#member);
    const own = this.#put(value);
    const firsts = ranks.map((rank) => this.#key(rank, 0));
    if (!(await this.#store.wait(firsts, timeoutMs))) throw await absent(this.#store, firsts, timeoutMs);
    const values: Uint8Array[] = [];
    for (const [rank, first] of (await this.#store.get(firsts)).entries()) values.push(await this.#whole(rank, first));
    for (const key of this.#old) await this.#store.delete(key);
    this.#old = own;
    this.#round += 1;
    return values;
  }

  /** Tells those who wait for this rank, now or later, that it ends. */
  async end(exitCode: number): Promise<void> {
    const key = this.#key(this.#member.rank, 0);
    this.#store.set(key, Buffer.concat([head(0), head(exitCode)]));
    // What has an answer was not left unsent.
    await this.#store.has(key);
  }

  #key(rank: number, piece: number): string {
    return `${this.#session}/${this.#round}/${rank}/${piece}`;
  }

  /** The first piece last: where it is, all are. @returns their keys */
  #put(value: Uint8Array): string[] {
    const count = Math.max(1, Math.ceil(value.length / pieceBytes));
    if (count > mostPieces) {
      const rule = `must be at most ${mostPieces * pieceBytes} bytes`;
      throw fault("resource", { where: "what a rank says to the others", rule, got: value.length });
    }
    const keys = Array.from({ length: count }, (_, piece) => this.#key(this.#member.rank, piece));
    for (let piece = count - 1; piece >= 0; piece--) {
      const bytes = value.subarray(piece * pieceBytes, (piece + 1) * pieceBytes);
      this.#store.set(keys[piece], piece === 0 ? Buffer.concat([head(count), bytes]) : bytes);
    }
    return keys;
  }

  async #whole(rank: number, first: Buffer): Promise<Uint8Array> {
    if (first.length < headBytes) throw this.#foreign(rank, `a first piece of ${first.length} bytes`);
    const count = first.readUInt32LE();
    if (count === 0) throw this.#ended(rank, first.subarray(headBytes));
    if (count > mostPieces) throw this.#foreign(rank, `${count} pieces`);
    const pieces = [first.subarray(headBytes)];
    // One by one: what is wrong ends it before more is fetched.
    for (let piece = 0; piece < count; piece++) {
      if (piece > 0) pieces.push(...(await this.#store.get([this.#key(rank, piece)])));
      const { length } = pieces[piece];
      const least = piece < count - 1 ? pieceBytes : Math.min(piece, 1);
      if (length < least || length > pieceBytes)
        throw this.#foreign(rank, `${length} bytes as piece ${piece + 1} of ${count}`);
    }
    return Buffer.concat(pieces);
  }

  #ended(rank: number, word: Buffer): Error {
    const exitCode = word.length === headBytes ? word.readUInt32LE() : 0;
    if (exitCode >= 1 && exitCode <= 255) return new RankEnded(exitCode);
    return this.#foreign(rank, `${word.toString("hex") || "nothing"} as its exit code`);
  }

  #foreign(rank: number, what: string): PatchDropError {
    return foreign(this.#store, `of rank ${rank} ${what}`);
  }
}

function ranksOf({ size }: Member): number[] {
  return Array.from({ length: size }, (_, rank) => rank);
}

function head(value: number): Buffer {
  const bytes = Buffer.alloc(headBytes);
  bytes.writeUInt32LE(value);
  return bytes;
}

const nameKey = ({ job }: Member, rank: number) => `${job}/rank/${rank}`;
const sessionKey = (own: string) => `${own}/session`;

/** What none of ours has put into the store. */
function foreign({ where }: TcpStore, got: string): PatchDropError {
  const rule = "must hold what the ranks of this job have put there";
  const next = "see what else writes into this store, and start again";
  return fault("system", { where, rule, got, next });
}

/** The name of a start, as it lies in the store. */
async function nameAt(key: string, store: TcpStore, { job }: Member): Promise<string> {
  const name = String((await store.get([key]))[0]);
  if (name.startsWith(`${job}/`) && /^[\da-f-]{36}$/.test(name.slice(job.length + 1))) return name;
  throw foreign(store, `at ${key} ${name}`);
}

/** What the first rank answers to a process that has told it the name that it has drawn. */
async function sessionFor(own: string, store: TcpStore, member: Member, timeoutMs: number): Promise<string> {
  store.set(nameKey(member, member.rank), Buffer.from(own));
  const key = sessionKey(own);
  if (!(await store.wait([key], timeoutMs))) throw await absent(store, [key], timeoutMs);
  return await nameAt(key, store, member);
}

interface Start {
  readonly store: TcpStore;
  readonly member: Member;
  readonly session: string;
}

/** Answers the others as they come. @returns whether all are here, after that time at the latest */
async function welcomed(start: Start, here: readonly string[], timeoutMs: number): Promise<boolean> {
  const answered = new Set<string>();
  const end = performance.now() + timeoutMs;
  while (!(await start.store.wait(here, lookEveryMs))) {
    if (performance.now() >= end) return false;
    for (const name of await namesIn(start)) {
      if (!answered.has(name)) start.store.set(sessionKey(name), Buffer.from(start.session));
      answered.add(name);
    }
  }
  return true;
}

/** What the others have drawn: of one that has not come again, as it came before. */
async function namesIn({ store, member }: Start): Promise<string[]> {
  const names: string[] = [];
  for (let rank = 1; rank < member.size; rank++) {
    const key = nameKey(member, rank);
    if (await store.has(key)) names.push(await nameAt(key, store, member));
  }
  return names;
}

/** @param keys of each rank, in their order */
async function absent(store: TcpStore, keys: readonly string[], timeoutMs: number): Promise<PatchDropError> {
  const missing: number[] = [];
  for (const [rank, key] of keys.entries()) if (!(await store.has(key))) missing.push(rank);
  const rule = `all ranks must come within ${timeoutMs / 1000} s`;
  const next = "see what it says, and whether its machine has started it";
  return fault("system", { where: "torchrun", rule, got: `no rank ${missing.join(", ")}`, next });
}
