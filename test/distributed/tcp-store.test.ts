/** The client of torchrun's store: its bytes against those of PyTorch's own client, and what a bad server is called. */
import { readFileSync } from "node:fs";
import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
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
afterEach(() => server?.close());

/** A server on a port of its own. */
async function serve(onConnection: (socket: Socket) => void): Promise<{ host: string; port: number }> {
  server = createServer(onConnection);
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return { host: "127.0.0.1", port: (server.address() as AddressInfo).port };
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
    store.close();
  });

  it("a wait in vain, which is cancelled", async () => {
    const { store, sent } = await replay("wait in vain");
    expect(await store.wait(["name", "absent"], 50)).toBe(false);
    expect(sent()[1]).toBe(recorded("wait in vain").sent);
    store.close();
  });
});

it("a key that comes while the wait for it is being cancelled is there", async () => {
  const { sent } = recorded("wait in vain");
  let came = 0;
  const address = await serve((socket) => {
    socket.once("data", (data) => {
      socket.write(data.subarray(-4));
      socket.on("data", ({ length }) => {
        came += length;
        // STOP_WAITING, then WAIT_CANCELED.
        if (came === sent.length / 2) socket.write(Uint8Array.of(0, 1));
      });
    });
  });
  const store = await TcpStore.connect(address);
  expect(await store.wait(["name", "absent"], 50)).toBe(true);
  store.close();
});

describe("a store that is none", () => {
  const where = (port: number) =>
    `MASTER_ADDR:MASTER_PORT 127.0.0.1:${port}: must be torchrun's store, and answer, got`;

  it("since nobody is there", async () => {
    const { port } = await serve(() => undefined);
    await new Promise((resolve) => server!.close(resolve));
    const connected = TcpStore.connect({ host: "127.0.0.1", port });
    await expect(connected).rejects.toThrow(`${where(port)} connect ECONNREFUSED 127.0.0.1:${port}; see what torchrun`);
  });

  it.each<[what: string, answer: (socket: Socket) => void, words: string]>([
    ["since it says nothing", () => undefined, "no answer within 0.1 s"],
    [
      "since it says something else",
      (socket) => socket.write("HTTP/1.1 400 Bad Request\r\n"),
      "an answer of something else",
    ],
    ["since it ends", (socket) => socket.end(), "no more answers: it has ended"],
  ])("%s", async (_, answer, words) => {
    const address = await serve((socket) => void socket.once("data", () => answer(socket)));
    await expect(TcpStore.connect(address, 100)).rejects.toThrow(`${where(address.port)} ${words}; see what torchrun`);
  });
});
