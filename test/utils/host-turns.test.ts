import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { HostTurns } from "../../src/utils/host-turns.ts";
import { oneAtATime } from "../../src/utils/one-at-a-time.ts";

it("no host has more requests than it may, each has its own number, and a failure hands its turn on", async () => {
  const turns = new HostTurns(3);
  const underway = new Map<string, number>();
  let most = 0;
  const request = (host: string, n: number) =>
    turns.at(`http://${host}/${n}`, async () => {
      underway.set(host, (underway.get(host) ?? 0) + 1);
      most = Math.max(most, underway.get(host)!);
      await delay(1 + (n % 4));
      underway.set(host, underway.get(host)! - 1);
      if (n % 5 === 0) throw new Error(`${n}`);
      return n;
    });
  const wanted = Array.from({ length: 40 }, (_, n) => n);
  const done = await Promise.allSettled(wanted.flatMap((n) => [request("a", n), request("b:81", n)]));
  expect(most).toBe(3);
  expect([...underway.values()]).toEqual([0, 0]);
  expect(done.filter(({ status }) => status === "rejected")).toHaveLength(16);
  expect(await request("a", 41)).toBe(41);
});

it("work is done one after the other, also behind one that failed", async () => {
  const inTurn = oneAtATime();
  const order: string[] = [];
  const work = (name: string, ms: number) => async () => {
    order.push(`${name} begins`);
    await delay(ms);
    order.push(`${name} ends`);
    if (name === "a") throw new Error("a");
    return name;
  };
  const [a, b, c] = await Promise.allSettled([inTurn(work("a", 5)), inTurn(work("b", 1)), inTurn(() => "c")]);
  expect(order).toEqual(["a begins", "a ends", "b begins", "b ends"]);
  expect([a.status, b, c]).toEqual([
    "rejected",
    { status: "fulfilled", value: "b" },
    { status: "fulfilled", value: "c" },
  ]);
});
