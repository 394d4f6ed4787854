import { setTimeout as delay } from "node:timers/promises";
import { expect, it } from "vitest";
import { Shares } from "../../src/utils/shares.ts";

it("never gives more than there is, and to the lowest place first", async () => {
  const shares = new Shares(10);
  const order: number[] = [];
  let [taken, most] = [0, 0];
  const use = async (place: number, amount: number) => {
    const back = await shares.take(amount, place);
    order.push(place);
    taken += Math.min(amount, 10);
    most = Math.max(most, taken);
    await delay(2);
    taken -= Math.min(amount, 10);
    back();
    back();
  };
  // Two of 5 are at work; of those that wait, 7 is asked for first and 2 comes before it.
  await Promise.all([use(0, 5), use(1, 5), use(7, 1), use(2, 99), use(3, 5), use(4, 5)]);
  expect(order).toEqual([0, 1, 2, 3, 4, 7]);
  expect(most).toBe(10);
  const back = await shares.take(10, 0);
  back();
  expect(taken).toBe(0);
});
