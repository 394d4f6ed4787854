/** The client of torchrun's store: its bytes against those of PyTorch's own client, and what a bad server is called. */
import { randomBytes } from "node:crypto";
import dns from "node:dns";
import { readFileSync } from "node:fs";
import { createServer as createWebServer } from "node:http";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { afterEach, describe, expect, it, type MockInstance, vi } from "vitest";
import { TcpStore } from "../../src/distributed/tcp-store.ts";

interface Call {
  readonly call: string;
  readonly sent: string;
  readonly received: string;
}

const file = new URL("../golden/tcp-store.json", import.meta.url);
const { calls } = JSON.parse(readFileSync(file, "utf8")) as { calls: readonly Call[] };
const recorded = (name: string) => calls.find(({ call }) => call === name)!;
const bytesOf = (hex: string) => Buffer.from(hex, "hex");

let server: Server | undefined;
const sockets: Socket[] = [];
afterEach(() => {
  vi.restoreAllMocks();
  for (const socket of sockets.splice(0)) socket.destroy();
  server?.close();
});

/** A server on a port of its own. */
function serve(onConnection: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  return listening(
    createServer((socket) => {
      sockets.push(socket.on("error", () => undefined));
      onConnection(socket);
    }),
  );
}

async function listening(one: Server): Promise<{ host: string; port: number }> {
  server = one;
  await new Promise<void>((resolve) => one.listen(0, "127.0.0.1", resolve));
  return { host: "127.0.0.1", port: (one.address() as AddressInfo).port };
}

/** Answers as PyTorch's server did, once as much has come as PyTorch's client sent. The process number of a ping is given back. */
async function replay(...names: readonly string[]): Promise<{ store: TcpStore; sent: () => string[] }> {
  const sent: string[] = [];
  let [came, n] = ["", 0];
  const address = await serve((socket) => {
    socket.on("data", (data) => {
      came += data.toString("hex");
      const { sent: wanted, received } = recorded(["connect", ...names][n]);
      if (came.length < wanted.length) return;
      const isPing = n++ === 0;
      const nonce = came.slice(-8);
      socket.write(bytesOf(isPing ? nonce : received));
      sent.push(isPing ? `${came.slice(0, -8)}00000000` : came);
      came = "";
    });
  });
  return { store: await TcpStore.connect(address), sent: () => sent };
}

describe("the store's client says what PyTorch's says, and understands what PyTorch's server answers:", () => {
  it.each<[name: string, call: (store: TcpStore) => unknown, answer: unknown]>([
    ["set", (store) => store.set("name", Buffer.from("value")), undefined],
    ["get", (store) => store.get(["name", "name"]), [Buffer.from("value"), Buffer.from("value")]],
    ["has", (store) => store.has("name"), true],
    ["has not", (store) => store.has("absent"), false],
    ["wait", (store) => store.wait(["name"], 60_000), true],
    ["delete", (store) => store.delete("name"), undefined],
  ])("%s", async (name, call, answer) => {
    const { store, sent } = await replay(name);
    expect(await call(store)).toEqual(answer);
    await expect.poll(sent).toEqual([recorded("connect").sent, recorded(name).sent]);
  });

  it("a wait in vain, which is cancelled", async () => {
    const { store, sent } = await replay("wait in vain");
    expect(await store.wait(["name", "absent"], 50)).toBe(false);
    expect(sent()[1]).toBe(recorded("wait in vain").sent);
  });
});

it("a key that comes while the wait for it is being cancelled is there, and the next answer is understood", async () => {
  const { sent } = recorded("wait in vain");
  let came = 0;
  const address = await serve((socket) => {
    socket.once("data", (data) => {
      socket.write(data.subarray(-4));
      socket.on("data", ({ length }) => {
        came += length;
        // STOP_WAITING, then WAIT_CANCELED; of another key, READY.
        if (came === sent.length / 2) socket.write(Uint8Array.of(0, 1));
        if (came > sent.length / 2) socket.write(Uint8Array.of(0));
      });
    });
  });
  const store = await TcpStore.connect(address);
  expect(await store.wait(["name", "absent"], 50)).toBe(true);
  expect(await store.has("name")).toBe(true);
});

/** What it is called in errors, and what is wrong with it. */
const saying = (port: number, got: string) =>
  `MASTER_ADDR:MASTER_PORT 127.0.0.1:${port}: must be torchrun's store, and answer, got ${got}; see what torchrun and the rank that ended first say, and start again`;

describe("a store that is none", () => {
  it("since nobody is there", async () => {
    const { port } = await serve(() => undefined);
    await new Promise((resolve) => server!.close(resolve));
    const connected = TcpStore.connect({ host: "127.0.0.1", port });
    const message = saying(port, `connect ECONNREFUSED 127.0.0.1:${port}`);
    await expect(connected).rejects.toMatchObject({ kind: "system", message });
  });

  it("since nobody is there at either address of its host", async () => {
    const { port } = await serve(() => undefined);
    await new Promise((resolve) => server!.close(resolve));
    const addresses = ["127.0.0.1", "127.0.0.2"].map((address) => ({ address, family: 4 }));
    const lookup = vi.spyOn(dns, "lookup") as unknown as MockInstance;
    lookup.mockImplementation((_host, _options, done) => done(null, addresses));
    const connected = TcpStore.connect({ host: "node1", port });
    const got = addresses.map(({ address }) => `connect ECONNREFUSED ${address}:${port}`).join(", ");
    await expect(connected).rejects.toThrow(
      `MASTER_PORT node1:${port}: must be torchrun's store, and answer, got ${got};`,
    );
  });

  it.each<[what: string, answer: (socket: Socket) => void, words: string]>([
    ["since it says nothing", () => undefined, "no whole answer within 0.1 s"],
    ["since it ends in the middle of an answer", (socket) => socket.end("ab"), "no more answers: it has ended"],
    ["since it says something else", (socket) => socket.write("rubbish"), "an answer of something else"],
    ["since it ends", (socket) => socket.end(), "no more answers: it has ended"],
    ["since it breaks off", (socket) => socket.resetAndDestroy(), "read ECONNRESET"],
  ])("%s", async (_, answer, words) => {
    const address = await serve((socket) => void socket.once("data", () => answer(socket)));
    const message = saying(address.port, words);
    await expect(TcpStore.connect(address, 100)).rejects.toMatchObject({ kind: "system", message });
  });

  it("since it is a web server", async () => {
    const web = createWebServer();
    const address = await listening(web);
    const message = saying(address.port, "an answer of something else");
    await expect(TcpStore.connect(address)).rejects.toMatchObject({ kind: "system", message });
  });

  it("since it closes every connection at once", async () => {
    const address = await serve((socket) => socket.destroy());
    const got = /must be torchrun's store, and answer, got (no more answers: it has ended|\w+ E[A-Z]+); see what/;
    await expect(TcpStore.connect(address)).rejects.toThrow(got);
  });
});

/** A store that has greeted, and answers the next requests in its own way. */
async function greeted(
  answer: (socket: Socket) => void,
  answerMs?: number,
): Promise<{ store: TcpStore; port: number }> {
  const address = await serve((socket) => {
    socket.once("data", (data) => {
      socket.write(data.subarray(-4));
      socket.on("data", () => answer(socket));
    });
  });
  return { store: await TcpStore.connect(address, answerMs), port: address.port };
}

const uint64 = (value: bigint) => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
};
const mostBytes = 8 * 2 ** 20;

describe("of an answer that no store gives nothing is believed:", () => {
  const get = (store: TcpStore) => store.get(["name"]);
  const has = (store: TcpStore) => store.has("name");
  const wait = (store: TcpStore) => store.wait(["name"], 60_000);

  it.each<[what: string, answer: Uint8Array, call: (store: TcpStore) => Promise<unknown>, got: string]>([
    ["a huge value", uint64(2n ** 60n), get, "1152921504606846976 bytes as the value of name, of at most 8388608"],
    ["one byte too many", uint64(BigInt(mostBytes + 1)), get, "8388609 bytes as the value of name, of at most 8388608"],
    ["a key that is there in another way", Uint8Array.of(2), has, "2 as an answer of 0 or 1"],
    ["a wait that ends in another way", Uint8Array.of(72), wait, "72 as an answer of 0 or 1"],
    ["a wait cancelled by nobody", Uint8Array.of(1), wait, "a wait cancelled by nobody"],
    ["too many deleted values", uint64(2n), (store) => store.delete("name"), "2 deleted values of name"],
  ])("%s", async (_, answer, call, got) => {
    const { store, port } = await greeted((socket) => socket.write(answer));
    await expect(call(store)).rejects.toMatchObject({ kind: "system", message: saying(port, got) });
    // Nor is what it says next.
    await expect(has(store)).rejects.toMatchObject({ kind: "system" });
  });

  it("the end of a wait that is cancelled, twice", async () => {
    const { store, port } = await greeted((socket) => setTimeout(() => socket.write(Uint8Array.of(0, 0)), 100));
    const waiting = store.wait(["name"], 20);
    await expect(waiting).rejects.toThrow(saying(port, "the end of a wait twice"));
  });

  it("more than was asked for", async () => {
    const { store, port } = await greeted((socket) => socket.write("\0more"));
    expect(await has(store)).toBe(true);
    await expect(has(store)).rejects.toThrow(saying(port, "4 bytes behind an answer"));
  });
});

it("an answer that drips must be whole in time, too", async () => {
  let dripping: NodeJS.Timeout | undefined;
  const { store, port } = await greeted((socket) => {
    socket.write(uint64(1000n));
    dripping ??= setInterval(() => socket.write("x"), 2);
  }, 300);
  const begun = performance.now();
  await expect(store.get(["name"])).rejects.toThrow(saying(port, "no whole answer within 0.3 s"));
  expect(performance.now() - begun).toBeGreaterThanOrEqual(290);
  clearInterval(dripping);
});

it("the largest value comes whole, beside an empty one, in whatever pieces", async () => {
  const value = randomBytes(mostBytes);
  const whole = Buffer.concat([uint64(BigInt(mostBytes)), value, uint64(0n)]);
  const ends = [3, 8, 9, 100_000, whole.length - 1, whole.length];
  const inPieces = async (socket: Socket) => {
    for (const [n, end] of ends.entries()) {
      socket.write(whole.subarray(ends[n - 1] ?? 0, end));
      await delay(5);
    }
  };
  const { store } = await greeted((socket) => void inPieces(socket));
  const [long, empty] = await store.get(["long", "empty"]);
  expect(long.equals(value)).toBe(true);
  expect(empty.length).toBe(0);
});
