/**
 * A client of PyTorch's TCPStore: keys and values that torchrun's agent serves, and that its ranks meet by.
 *
 * A request is one byte that says which, then its numbers, as a little-endian machine has them, and its texts and bytes, each behind
 * their length of 64 bits. Every key begins with "/". Source: torch/csrc/distributed/c10d/TCPStore.cpp, TCPStoreBackend.hpp and
 * TCPStoreLibUvBackend.cpp, which are alike in this from PyTorch 2.4 to 2.15.
 */
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
/** `CheckResponseType::READY` and `WaitResponseType::STOP_WAITING`; `NOT_READY` and `WAIT_CANCELED` */
const [isThere, isNotThere] = [0, 1];
/** `validationMagicNumber`, which a client says first. */
const magic = 0x3c85f7ce;

/** `MAX_PAYLOAD_LEN`: what a store takes as one value. */
const mostBytes = 8 * 2 ** 20;

/** What a server that is there takes at most for a whole answer. */
const mostAnswerMs = 60_000;

export interface StoreAddress {
  readonly host: string;
  readonly port: number;
}

export class TcpStore {
  /** What it is called in errors. */
  readonly where: string;
  readonly #socket: Socket;
  readonly #answerMs: number;
  readonly #chunks: AsyncIterator<Buffer>;
  /** What has come and is not read yet. */
  #held: Buffer[] = [];
  #heldBytes = 0;
  #coming: Promise<IteratorResult<Buffer>> | undefined;
  /** When the answer to the last request must be whole. */
  #due = 0;

  /** @throws system: no server there, or something else than a store */
  static async connect({ host, port }: StoreAddress, answerMs = mostAnswerMs): Promise<TcpStore> {
    const socket = connect({ host, port, noDelay: true });
    const store = new TcpStore(socket, `MASTER_ADDR:MASTER_PORT ${host}:${port}`, answerMs);
    await store.#greet();
    return store;
  }

  private constructor(socket: Socket, where: string, answerMs: number) {
    this.where = where;
    this.#socket = socket;
    this.#answerMs = answerMs;
    this.#chunks = socket[Symbol.asyncIterator]() as AsyncIterator<Buffer>;
    // Whoever reads next hears of it.
    socket.on("error", () => undefined);
  }

  async #greet(): Promise<void> {
    const nonce = uint32(process.pid);
    this.#send(requests.validate, uint32(magic));
    this.#send(requests.ping, nonce);
    if (!(await this.#read(nonce.length)).equals(nonce)) throw this.#lost("an answer of something else");
  }

  set(key: string, value: Uint8Array): void {
    this.#send(requests.set, named(key), sized(value));
  }

  /** The values of keys that are there. */
  async get(keys: readonly string[]): Promise<Buffer[]> {
    this.#send(requests.multiGet, listed(keys));
    const values: Buffer[] = [];
    for (const key of keys) {
      const length = await this.#number();
      if (length > mostBytes) throw this.#lost(`${length} bytes as the value of ${key}, of at most ${mostBytes}`);
      values.push(await this.#read(Number(length)));
    }
    return values;
  }

  async has(key: string): Promise<boolean> {
    this.#send(requests.check, listed([key]));
    return await this.#saysThere();
  }

  /** Waits until all the keys are there. @returns whether they are, after that time at the latest */
  async wait(keys: readonly string[], timeoutMs: number): Promise<boolean> {
    this.#send(requests.wait, listed(keys));
    if (await this.#comesWithin(timeoutMs)) {
      if (await this.#saysThere()) return true;
      throw this.#lost("a wait cancelled by nobody");
    }
    this.#send(requests.cancelWait);
    const cameMeanwhile = await this.#saysThere();
    // Then the cancelling is answered besides.
    if (cameMeanwhile && (await this.#saysThere())) throw this.#lost("the end of a wait twice");
    return cameMeanwhile;
  }

  async delete(key: string): Promise<void> {
    this.#send(requests.deleteKey, named(key));
    const deleted = await this.#number();
    if (deleted > 1) throw this.#lost(`${deleted} deleted values of ${key}`);
  }

  /** @throws system: the answer before had more bytes than an answer has */
  #send(request: number, ...parts: readonly Uint8Array[]): void {
    if (this.#heldBytes > 0) throw this.#lost(`${this.#heldBytes} bytes behind an answer`);
    this.#due = performance.now() + this.#answerMs;
    this.#socket.write(Buffer.concat([Uint8Array.of(request), ...parts]));
  }

  async #saysThere(): Promise<boolean> {
    const [answer] = await this.#read(1);
    if (answer !== isThere && answer !== isNotThere)
      throw this.#lost(`${answer} as an answer of ${isThere} or ${isNotThere}`);
    return answer === isThere;
  }

  async #number(): Promise<bigint> {
    return (await this.#read(8)).readBigUInt64LE();
  }

  /** The next bytes of an answer. @throws system: the server has ended, or the answer is not whole in time */
  async #read(bytes: number): Promise<Buffer> {
    while (this.#heldBytes < bytes) {
      const leftMs = this.#due - performance.now();
      if (leftMs > 0 && (await this.#comesWithin(leftMs))) continue;
      throw this.#lost(`no whole answer within ${this.#answerMs / 1000} s`);
    }
    const all = this.#held.length === 1 ? this.#held[0] : Buffer.concat(this.#held);
    this.#held = bytes === all.length ? [] : [all.subarray(bytes)];
    this.#heldBytes -= bytes;
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
      if (next.done === true) throw this.#lost("no more answers: it has ended");
      this.#held.push(next.value);
      this.#heldBytes += next.value.length;
      return true;
    } catch (error) {
      throw this.#lost(error);
    } finally {
      timer.abort();
    }
  }

  /** Hangs up: what would come after could not be told from what should have come. */
  #lost(cause: unknown): PatchDropError {
    if (cause instanceof PatchDropError) return cause;
    this.#socket.destroy();
    const rule = "must be torchrun's store, and answer";
    const next = "see what torchrun and the rank that ended first say, and start again";
    return fault("system", { where: this.where, rule, got: messageOf(cause), next }, cause);
  }
}

function messageOf(cause: unknown): string {
  // Of a host with several addresses that all refuse: it has no message of its own.
  if (cause instanceof AggregateError) return cause.errors.map(messageOf).join(", ");
  return cause instanceof Error ? cause.message : String(cause);
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
