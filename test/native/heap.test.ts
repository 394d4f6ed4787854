/** When the heap is cleared, on a made-up memory. */
import { expect, it } from "vitest";
import { HeapWatch } from "../../src/native/heap.ts";

/** A heap of which each step needs 100, and leaves `ragged` more behind than the last. */
function stepsThatClear(steps: number, ragged: number): number[] {
  let [size, step] = [0, 0];
  const cleared: number[] = [];
  const watch = new HeapWatch({
    resident: () => size,
    clear: () => {
      size = 0;
      cleared.push(step);
    },
  });
  for (step = 1; step <= steps; step++) {
    size = size === 0 ? 100 : size + ragged;
    watch.afterStep();
  }
  return cleared;
}

it("clears a heap that has grown by two fifths", () => {
  // 100, 105, …, 140 after the ninth step; then again from the tenth on.
  expect(stepsThatClear(30, 5)).toEqual([9, 18, 27]);
});

it("does not clear one that stays as it is", () => {
  expect(stepsThatClear(100, 0)).toEqual([]);
});

it("does not clear again before four steps, however fast it grows", () => {
  expect(stepsThatClear(10, 100)).toEqual([4, 8]);
});
