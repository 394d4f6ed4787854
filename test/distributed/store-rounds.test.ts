/** Ranks that meet in a store, and exchange values there. */
import { afterEach, beforeEach, expect, it } from "vitest";
import { pieceBytes, StoreRounds } from "../../src/distributed/store-rounds.ts";
import { TcpStore } from "../../src/distributed/tcp-store.ts";
import { StoreServer } from "./store-server.ts";

let server: StoreServer;
const stores: TcpStore[] = [];
beforeEach(async () => {
  server = await StoreServer.start();
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  server.close();
});

/** A rank of so many, once all have come. */
async function come(rank: number, size: number, timeoutMs = 60_000): Promise<StoreRounds> {
  const store = await TcpStore.connect(server.address);
  stores.push(store);
  return await StoreRounds.meet(store, { job: "job", rank, size }, timeoutMs);
}

const all = (size: number) => Promise.all(Array.from({ length: size }, (_, rank) => come(rank, size)));
const words = async (rounds: StoreRounds, text: string) =>
  (await rounds.exchange(Buffer.from(text), 60_000)).map((value) => Buffer.from(value).toString());

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
    const early = come(first, 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    const ranks = await Promise.all([early, come(second, 2)]);
    const heard = await Promise.all(ranks.map((rank, n) => words(rank, `new ${order[n]}`)));
    expect(heard).toEqual([
      ["new 0", "new 1"],
      ["new 0", "new 1"],
    ]);
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
