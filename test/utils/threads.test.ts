import { expect, it } from "vitest";
import { chooseThreads, threadsOfEnvironment } from "../../src/utils/threads.ts";

const machine = { processors: 8, quota: undefined };

it("is what OMP_NUM_THREADS says, whatever the machine does", () => {
  expect(chooseThreads({ OMP_NUM_THREADS: "5" }, machine, 7)).toEqual({ count: 5, why: "" });
  expect(["2,3", "", "0", "abc", undefined].map((text) => threadsOfEnvironment({ OMP_NUM_THREADS: text }))).toEqual([
    2,
    ...Array(4).fill(undefined),
  ]);
});

it("is one for each processor, of those that others leave", () => {
  expect(chooseThreads({}, machine, 0.4)).toEqual({ count: 8, why: "one for each processor" });
  expect(chooseThreads({}, machine, undefined)).toEqual({ count: 8, why: "one for each processor" });
  expect(chooseThreads({}, machine, 2.6)).toEqual({
    count: 5,
    why: "since others keep 2.6 of 8 processors busy",
  });
  expect(chooseThreads({}, machine, 8).count).toBe(1);
});

it("is as many as a control group's quota needs: two threads use one and a half processors, one does not", () => {
  expect(chooseThreads({}, { processors: 64, quota: 1.5 }, 0)).toEqual({
    count: 2,
    why: "since its control group may use 1.5 of 64 processors",
  });
  expect(chooseThreads({}, { processors: 2, quota: 4 }, 0).count).toBe(2);
});
