/** In which order the steps of several pieces of work are taken. */
import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { type Piece, Relay } from "../../src/acquire/relay.ts";
import { Random } from "../../src/utils/random.ts";

/** What pieces a, b, … do, of which each waits for anything between 0 and 3 ms at each step. */
async function order(count: number, setting: { steps: number; lag: number }, seed = 0): Promise<string> {
  const random = new Random(seed, "relay");
  const done: string[] = [];
  const relay = new Relay<Piece>(setting);
  for (const name of "abcdefgh".slice(0, count)) {
    let step = 0;
    const after = async (text: string) => {
      await delay(random.integer(4));
      done.push(text);
    };
    await relay.begin({ step: () => after(`${name}${step++}`), finish: () => after(name) });
  }
  await relay.end();
  expect(relay.underway).toEqual([]);
  return done.join(" ");
}

it("a piece takes its next step when so many more have begun, and pieces end in order", async () => {
  // By hand: b begins before a goes on, and c before b does.
  expect(await order(3, { steps: 2, lag: 1 })).toBe("a0 b0 a1 a c0 b1 b c1 c");
  expect(await order(3, { steps: 2, lag: 2 })).toBe("a0 b0 c0 a1 a b1 b c1 c");
  expect(await order(3, { steps: 3, lag: 1 })).toBe("a0 b0 a1 c0 b1 a2 a c1 b2 b c2 c");
  // Fewer pieces than are waited for.
  expect(await order(2, { steps: 2, lag: 5 })).toBe("a0 b0 a1 a b1 b");
});

it("one after the other where none is to begin meanwhile", async () => {
  expect(await order(2, { steps: 2, lag: 0 })).toBe("a0 a1 a b0 b1 b");
});

it("the order is the same however long steps take", async () => {
  const orders = new Set<string>();
  for (let seed = 0; seed < 5; seed++) orders.add(await order(8, { steps: 3, lag: 2 }, seed));
  expect(orders.size).toBe(1);
});
