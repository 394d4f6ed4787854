/**
 * A client of PyTorch's TCPStore: keys and values that torchrun's agent serves, and that its ranks meet by.
 *
 * A request is one byte that says which, then its numbers, as a little-endian machine has them, and its texts and bytes, each behind
 * their length of 64 bits. Every key begins with "/". Source: torch/csrc/distributed/c10d/TCPStore.cpp, TCPStoreBackend.hpp and
 * TCPStoreLibUvBackend.cpp, which are alike in this from PyTorch 2.4 to 2.15.
 */
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { fault, PatchDropError } from "../errors.ts";

/** `QueryType` */
const requests = {
  validate: 0,
  set: 1,
  check: 5,
  wait: 6,
  deleteKey: 8,
  multiGet: 10,
  cancelWait: 12,
  ping: 13,
} as const;
/** `CheckResponseType::READY` and `WaitResponseType::STOP_WAITING` */
const isThere = 0;
/** `validationMagicNumber`, which a client says first. */
const magic = 0x3c85f7ce;

/** What a server that is there takes at most for an answer. */
const answerMs = 60_000;

export interface StoreAddress {
  readonly host: string;
  readonly port: number;
}

export class TcpStore {
  readonly #socket: Socket;
  readonly #where: string;
  readonly #chunks: AsyncIterator<Buffer>;
  /** What has come and is not read yet. */
  #held: Buffer[] = [];
  #coming: Promise<IteratorResult<Buffer>> | undefined;

  /** @throws system: no server there, or something else than a store */
  static async connect({ host, port }: StoreAddress, timeoutMs = answerMs): Promise<TcpStore> {
    const socket = connect({ host, port, noDelay: true });
    const store = new TcpStore(socket, `${host}:${port}`);
    try {
      await once(socket, "connect", { signal: AbortSignal.timeout(timeoutMs) });
      await store.#greet(timeoutMs);
      return store;
    } catch (error) {
      socket.destroy();
      throw store.#lost(error);
    }
  }

  private constructor(socket: Socket, where: string) {
    this.#socket = socket;
    this.#where = where;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    // Whoever reads next hears of it.
    socket.on("error", () => undefined);
  }

  async #greet(timeoutMs: number): Promise<void> {
    const nonce = uint32(process.pid);
    this.#send(requests.validate, uint32(magic));
    this.#send(requests.ping, nonce);
    if (!(await this.#read(nonce.length, timeoutMs)).equals(nonce)) throw new Error("an answer of something else");
  }

  set(key: string, value: Uint8Array): void {
    this.#send(requests.set, named(key), sized(value));
  }

  /** The values of keys that are there. */
  async get(keys: readonly string[]): Promise<Buffer[]> {
    this.#send(requests.multiGet, listed(keys));
    const values: Buffer[] = [];
    for (const _ of keys) {
      const length = await this.#read(8);
      values.push(await this.#read(Number(length.readBigUInt64LE())));
    }
    return values;
  }

  async has(key: string): Promise<boolean> {
    this.#send(requests.check, listed([key]));
    return (await this.#read(1))[0] === isThere;
  }

  /** Waits until all the keys are there. @returns whether they are, after that time at the latest */
  async wait(keys: readonly string[], timeoutMs: number): Promise<boolean> {
    this.#send(requests.wait, listed(keys));
    if (await this.#comesWithin(timeoutMs)) return (await this.#read(1))[0] === isThere;
    this.#send(requests.cancelWait);
    const [answer] = await this.#read(1);
    // The last key came while the wait was being cancelled, which is answered besides.
    if (answer === isThere) await this.#read(1);
    return answer === isThere;
  }

  async delete(key: string): Promise<void> {
    this.#send(requests.deleteKey, named(key));
    await this.#read(8);
  }

  close(): void {
    this.#socket.destroy();
  }

  #send(request: number, ...parts: readonly Uint8Array[]): void {
    this.#socket.write(Buffer.concat([Uint8Array.of(request), ...parts]));
  }

  /** @throws system: the server has ended, or does not answer */
  async #read(bytes: number, timeoutMs = answerMs): Promise<Buffer> {
    while (this.#held.reduce((sum, { length }) => sum + length, 0) < bytes) {
      if (await this.#comesWithin(timeoutMs)) continue;
      throw this.#lost(new Error(`no answer within ${timeoutMs / 1000} s`));
    }
    const all = this.#held.length === 1 ? this.#held[0] : Buffer.concat(this.#held);
    this.#held = bytes === all.length ? [] : [all.subarray(bytes)];
    return all.subarray(0, bytes);
  }

  /** Waits for bytes to come. @returns whether there are any, after that time at the latest */
  async #comesWithin(timeoutMs: number): Promise<boolean> {
    this.#coming ??= this.#chunks.next();
    const timer = new AbortController();
    try {
      const next = await Promise.race([this.#coming, delay(timeoutMs, undefined, { signal: timer.signal })]);
      if (next === undefined) return false;
      this.#coming = undefined;
      if (next.done === true) throw new Error("no more answers: it has ended");
      this.#held.push(next.value);
      return true;
    } catch (error) {
      throw this.#lost(error);
    } finally {
      timer.abort();
    }
  }

  #lost(cause: unknown): PatchDropError {
    if (cause instanceof PatchDropError) return cause;
    const got = cause instanceof Error ? cause.message : String(cause);
    const rule = "must be torchrun's store, and answer";
    const next = "see what torchrun and the rank that ended first say, and start again";
    return fault("system", { where: `MASTER_ADDR:MASTER_PORT ${this.#where}`, rule, got, next }, cause);
  }
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function uint64(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
}

function sized(value: Uint8Array): Buffer {
  return Buffer.concat([uint64(value.length), value]);
}

function named(key: string): Buffer {
  return sized(Buffer.from(`/${key}`));
}

function listed(keys: readonly string[]): Buffer {
  return Buffer.concat([uint64(keys.length), ...keys.map(named)]);
}
