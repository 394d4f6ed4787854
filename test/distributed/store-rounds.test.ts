/** Ranks that meet in a store, and exchange values there. */
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { mostPieces, pieceBytes, StoreRounds } from "../../src/distributed/store-rounds.ts";
import { TcpStore } from "../../src/distributed/tcp-store.ts";
import { StoreServer } from "./store-server.ts";

let server: StoreServer;
beforeEach(async () => {
  server = await StoreServer.start();
});
afterEach(() => server.close());

/** A rank of so many, once all have come. */
async function come(rank: number, size: number, timeoutMs = 60_000): Promise<StoreRounds> {
  const store = await TcpStore.connect(server.address);
  return await StoreRounds.meet(store, { job: "job", rank, size }, timeoutMs);
}

const all = (size: number) => Promise.all(Array.from({ length: size }, (_, rank) => come(rank, size)));
const words = async (rounds: StoreRounds, text: string) =>
  (await rounds.exchange(Buffer.from(text), 60_000)).map((value) => Buffer.from(value).toString());

const pause = () => new Promise((resolve) => setTimeout(resolve, 100));

it("three ranks hear one another, round by round", async () => {
  const ranks = await all(3);
  for (const round of ["a", "b", ""]) {
    const heard = await Promise.all(ranks.map((rank, n) => words(rank, round + n)));
    expect(heard).toEqual(Array.from({ length: 3 }, () => [`${round}0`, `${round}1`, `${round}2`]));
  }
});

it("a value that the store does not take whole comes in pieces, beside short ones", async () => {
  const [first, second] = await all(2);
  const long = Buffer.alloc(2 * pieceBytes + 3, "x");
  long[pieceBytes] = 1;
  const [heard] = await Promise.all([second.exchange(Buffer.from("short"), 60_000), first.exchange(long, 60_000)]);
  expect(long.equals(heard[0])).toBe(true);
  expect(Buffer.from(heard[1]).toString()).toBe("short");
  expect(Math.max(...[...server.values.values()].map(({ length }) => length))).toBeLessThanOrEqual(8 * 2 ** 20);
});

it("the store does not grow with the rounds", async () => {
  const ranks = await all(2);
  const keysAfter = async () => {
    await Promise.all(ranks.map((rank) => rank.exchange(Buffer.alloc(pieceBytes + 1), 60_000)));
    return server.values.size;
  };
  await keysAfter();
  const early = await keysAfter();
  for (let round = 0; round < 5; round++) await keysAfter();
  expect(await keysAfter()).toBe(early);
});

it("ranks that are started again hear nothing of those before them, whoever comes first", async () => {
  const before = await all(2);
  await Promise.all(before.map((rank, n) => words(rank, `old ${n}`)));
  for (const order of [
    [0, 1],
    [1, 0],
  ]) {
    const [first, second] = order;
    let isAlone = true;
    const early = come(first, 2).finally(() => {
      isAlone = false;
    });
    await pause();
    expect(isAlone).toBe(true);
    const [one, other] = await Promise.all([early, come(second, 2)]);
    const heard = words(one, `new ${first}`);
    await pause();
    expect(await words(other, `new ${second}`)).toEqual(["new 0", "new 1"]);
    expect(await heard).toEqual(["new 0", "new 1"]);
  }
});

it("of ranks of which one does not come, all name it", async () => {
  const rule = "torchrun: all ranks must come within 0.3 s, got no rank";
  const came = await Promise.allSettled([come(0, 3, 300), come(2, 3, 300)]);
  for (const one of came)
    expect(String((one as PromiseRejectedResult).reason)).toContain(`${rule} 1; see what it says`);
  await expect(come(1, 2, 300)).rejects.toThrow(`${rule} 0; see what it says`);
});

it("a rank that does not come to a round is named", async () => {
  const [first] = await all(2);
  await expect(first.exchange(Buffer.from("own"), 100)).rejects.toThrow("within 0.1 s, got no rank 1; see");
});

it("one that ends ends the others' waiting, with its exit code", async () => {
  const [first, second] = await all(2);
  const waiting = first.exchange(Buffer.from("own"), 60_000);
  await second.end(3);
  await expect(waiting).rejects.toMatchObject({ name: "RankEnded", exitCode: 3 });
});

it("a store that ends ends the waiting", async () => {
  const [first] = await all(2);
  const waiting = first.exchange(Buffer.from("own"), 60_000);
  server.close();
  await expect(waiting).rejects.toThrow(/must be torchrun's store, and answer, got .+; see what torchrun/);
});

describe("what no rank has put into the store is refused:", () => {
  const where = () => `MASTER_ADDR:MASTER_PORT 127.0.0.1:${server.address.port}`;
  const refused = (got: string) => ({
    kind: "system",
    message: `${where()}: must hold what the ranks of this job have put there, got ${got}; see what else writes into this store, and start again`,
  });
  /** The numbers as they stand before a first piece, then so many bytes. */
  const piece = (numbers: readonly number[], length = 0) =>
    Buffer.concat([Buffer.from(Uint32Array.from(numbers).buffer), Buffer.alloc(length)]);

  it.each<[what: string, pieces: readonly Buffer[], got: string]>([
    ["nothing", [Buffer.alloc(0)], "a first piece of 0 bytes"],
    ["less than a number of pieces", [Buffer.alloc(3)], "a first piece of 3 bytes"],
    ["far too many pieces", [piece([2 ** 32 - 1], pieceBytes)], "4294967295 pieces"],
    ["one piece too many", [piece([mostPieces + 1], pieceBytes)], `${mostPieces + 1} pieces`],
    ["a first piece that is too long", [piece([1], pieceBytes + 1)], "4194305 bytes as piece 1 of 1"],
    ["a first piece that is not full", [piece([2], 5)], "5 bytes as piece 1 of 2"],
    ["a last piece that is not there", [piece([2], pieceBytes)], "0 bytes as piece 2 of 2"],
    ["a piece that is not full", [piece([3], pieceBytes), Buffer.alloc(7)], "7 bytes as piece 2 of 3"],
    ["no exit code", [piece([0])], "nothing as its exit code"],
    ["half an exit code", [Buffer.concat([piece([0]), Buffer.alloc(2)])], "0000 as its exit code"],
    ["success as the end of a rank", [piece([0, 0])], "00000000 as its exit code"],
    ["an exit code that is none", [piece([0, 256])], "00010000 as its exit code"],
  ])("%s", async (_, pieces, got) => {
    const [first] = await all(2);
    const session = sessionOf();
    for (const [n, bytes] of pieces.entries()) server.values.set(`/${session}/0/1/${n}`, bytes);
    await expect(first.exchange(Buffer.from("own"), 60_000)).rejects.toMatchObject(refused(`of rank 1 ${got}`));
  });

  it("a name of a start that is none", async () => {
    server.values.set("/job/rank/1", Buffer.from("anything"));
    await expect(come(0, 2)).rejects.toMatchObject(refused("at job/rank/1 anything"));
  });

  it("an answer of the first rank that is none", async () => {
    const coming = come(1, 2);
    await expect.poll(() => server.values.get("/job/rank/1")).toBeDefined();
    const own = String(server.values.get("/job/rank/1"));
    const store = await TcpStore.connect(server.address);
    store.set(`${own}/session`, Buffer.from("other/start"));
    await expect(coming).rejects.toMatchObject(refused(`at ${own}/session other/start`));
  });
});

it("a rank that was killed between the pieces of its value has not come", async () => {
  const [first] = await all(2);
  server.values.set(`/${sessionOf()}/0/1/1`, Buffer.alloc(pieceBytes));
  await expect(first.exchange(Buffer.from("own"), 100)).rejects.toThrow("within 0.1 s, got no rank 1; see");
});

it("a value too large for the others is refused where it is said, before anything of it is sent", async () => {
  const [first] = await all(2);
  const { size } = server.values;
  const rule = "what a rank says to the others: must be at most 1073741824 bytes, got 1073741825";
  const saying = first.exchange(Buffer.alloc(mostPieces * pieceBytes + 1), 60_000);
  await expect(saying).rejects.toMatchObject({ kind: "resource", message: rule });
  expect(server.values.size).toBe(size);
});

/** What the keys of the start begin with whose ranks are here. */
function sessionOf(): string {
  const here = [...server.values.keys()].find((key) => key.endsWith("/here/0"))!;
  return here.slice(1, -"/here/0".length);
}
