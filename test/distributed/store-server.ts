/** A small TCPStore of the tests' own: what PyTorch's server does with the requests that ranks make. Source: TCPStoreLibUvBackend.cpp. */
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";

/** A request whose bytes have not all come. */
class Unfinished extends Error {}

class Request {
  at = 0;
  readonly #bytes: Buffer;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  take(length: number): Buffer {
    if (this.at + length > this.#bytes.length) throw new Unfinished();
    this.at += length;
    return this.#bytes.subarray(this.at - length, this.at);
  }

  number(): number {
    return Number(this.take(8).readBigUInt64LE());
  }

  sized(): Buffer {
    return this.take(this.number());
  }

  keys(): string[] {
    return Array.from({ length: this.number() }, () => String(this.sized()));
  }
}

interface Waiting {
  readonly socket: Socket;
  readonly keys: readonly string[];
}

const uint64 = (value: number) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(BigInt(value));
  return bytes;
};

export class StoreServer {
  readonly values = new Map<string, Buffer>();
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #waiting: Waiting[] = [];

  private constructor() {
    this.#server = createServer((socket) => this.#serve(socket));
  }

  static async start(): Promise<StoreServer> {
    const own = new StoreServer();
    await new Promise<void>((resolve) => own.#server.listen(0, "127.0.0.1", resolve));
    return own;
  }

  get address(): { host: string; port: number } {
    return { host: "127.0.0.1", port: (this.#server.address() as AddressInfo).port };
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    let bytes: Buffer = Buffer.alloc(0);
    socket.on("error", () => undefined);
    socket.on("data", (data) => {
      bytes = Buffer.concat([bytes, data]);
      while (bytes.length > 0) {
        const request = new Request(bytes);
        try {
          const answer = this.#answer(request, socket);
          if (answer !== undefined) socket.write(answer);
        } catch (error) {
          if (error instanceof Unfinished) return;
          throw error;
        }
        bytes = bytes.subarray(request.at);
      }
    });
  }

  #answer(request: Request, socket: Socket): Uint8Array | undefined {
    const [type] = request.take(1);
    switch (type) {
      case 0: // VALIDATE
        return void request.take(4);
      case 1: // SET
        return this.#set(String(request.sized()), request.sized());
      case 5: // CHECK
        return Uint8Array.of(this.#hasAll(request.keys()) ? 0 : 1);
      case 6: // WAIT
        return this.#wait({ socket, keys: request.keys() });
      case 8: // DELETE_KEY
        return uint64(this.values.delete(String(request.sized())) ? 1 : 0);
      case 10: // MULTI_GET
        return Buffer.concat(request.keys().flatMap((key) => this.#sized(key)));
      case 12: // CANCEL_WAIT
        this.#waiting = this.#waiting.filter((one) => one.socket !== socket);
        return Uint8Array.of(1);
      case 13: // PING
        return request.take(4);
      default:
        throw new Error(`request ${type}`);
    }
  }

  #set(key: string, value: Buffer): undefined {
    this.values.set(key, Buffer.from(value));
    const ready = this.#waiting.filter(({ keys }) => this.#hasAll(keys));
    this.#waiting = this.#waiting.filter((one) => !ready.includes(one));
    for (const { socket } of ready) socket.write(Uint8Array.of(0));
  }

  #wait(one: Waiting): Uint8Array | undefined {
    if (this.#hasAll(one.keys)) return Uint8Array.of(0);
    this.#waiting.push(one);
    return undefined;
  }

  #hasAll(keys: readonly string[]): boolean {
    return keys.every((key) => this.values.has(key));
  }

  /** Of a key that is not there, nothing. */
  #sized(key: string): Buffer[] {
    const value = this.values.get(key) ?? Buffer.alloc(0);
    return [uint64(value.length), value];
  }
}
