import { describe, expect, it } from "vitest";
import { addTimes, Stopwatch, type Times, unprofiled } from "../../src/utils/profile.ts";
import { Random } from "../../src/utils/random.ts";

/** A clock that moves by hand, in milliseconds. */
function handClock() {
  let ms = 5000;
  const stopwatch = new Stopwatch(() => ms);
  const pass = (by: number) => {
    ms += by;
  };
  return { stopwatch, pass };
}

/** [seconds, calls] by kind. */
const byKind = ({ kinds }: Times) =>
  Object.fromEntries(kinds.map(({ kind, seconds, calls }) => [kind, [seconds, calls]]));

describe("a stopwatch", () => {
  it("counts time to the innermost kind alone, and what is outside all of them as other", () => {
    const { stopwatch, pass } = handClock();
    pass(1000);
    const result = stopwatch.of("step", () => {
      pass(200);
      stopwatch.of("backward", () => pass(3000));
      pass(300);
      stopwatch.of("backward", () => pass(1000));
      return "done";
    });
    pass(500);
    expect(result).toBe("done");
    expect(byKind(stopwatch.times())).toEqual({ other: [1.5, 0], step: [0.5, 1], backward: [4, 2] });
    expect(stopwatch.times().seconds).toBe(6);
  });

  it("knows what has passed of a kind that has not ended", () => {
    const { stopwatch, pass } = handClock();
    stopwatch.of("test", () => {
      pass(2000);
      expect(stopwatch.times()).toEqual({ seconds: 2, kinds: [{ kind: "test", seconds: 2, calls: 1 }] });
      pass(1000);
    });
    expect(byKind(stopwatch.times())).toEqual({ test: [3, 1] });
  });

  it("counts a kind within the same kind once", () => {
    const { stopwatch, pass } = handClock();
    stopwatch.of("step", () => stopwatch.of("step", () => pass(1000)));
    expect(byKind(stopwatch.times())).toEqual({ step: [1, 2] });
  });

  it("waits for asynchronous work, with what is inside it", async () => {
    const { stopwatch, pass } = handClock();
    const result = await stopwatch.of("test", async () => {
      pass(1000);
      await Promise.resolve();
      pass(2000);
      await stopwatch.of("reading images", async () => {
        await Promise.resolve();
        pass(4000);
      });
      pass(8000);
      return 7;
    });
    pass(500);
    expect(result).toBe(7);
    expect(byKind(stopwatch.times())).toEqual({ test: [11, 1], "reading images": [4, 1], other: [0.5, 0] });
  });

  it("ends what fails, and passes on how", async () => {
    const { stopwatch, pass } = handClock();
    const fail = () => {
      pass(1000);
      throw new Error("no");
    };
    expect(() => stopwatch.of("step", () => stopwatch.of("backward", fail))).toThrow("no");
    await expect(stopwatch.of("test", async () => fail())).rejects.toThrow("no");
    pass(3000);
    expect(byKind(stopwatch.times())).toEqual({ step: [0, 1], backward: [1, 1], test: [1, 1], other: [3, 0] });
  });

  it("does not count on with work that nobody waits for any more", async () => {
    const { stopwatch, pass } = handClock();
    let finish = () => {};
    let abandoned: Promise<void> | undefined;
    await stopwatch.of("start", async () => {
      abandoned = stopwatch.of("reading images", () => new Promise<void>((resolve) => (finish = resolve)));
      pass(1000);
    });
    pass(2000);
    finish();
    await stopwatch.of("test", async () => {
      await abandoned;
      pass(4000);
    });
    expect(byKind(stopwatch.times())).toEqual({ start: [0, 1], "reading images": [1, 1], other: [2, 0], test: [4, 1] });
  });

  it("adds up to all time that has passed, however kinds lie in one another", () => {
    const random = new Random(1, "profile");
    for (let round = 0; round < 50; round++) {
      const { stopwatch, pass } = handClock();
      let passed = 0;
      /** By a counter of its own: what the innermost kind saw. */
      const own = new Map<string, number>();
      const wait = (kind: string) => {
        const by = 1 + random.integer(9);
        pass(by);
        passed += by;
        own.set(kind, (own.get(kind) ?? 0) + by);
      };
      const nest = (kind: string, depth: number) => {
        for (let turn = random.integer(4); turn >= 0; turn--) {
          wait(kind);
          const inner = `kind ${random.integer(3)}`;
          if (depth < 4) stopwatch.of(inner, () => nest(inner, depth + 1));
        }
      };
      nest("other", 0);
      const { seconds, kinds } = stopwatch.times();
      expect(Math.round(1000 * seconds)).toBe(passed);
      const found = kinds.filter((one) => one.seconds > 0).map((one) => [one.kind, Math.round(1000 * one.seconds)]);
      expect(Object.fromEntries(found)).toEqual(Object.fromEntries(own));
    }
  });
});

it("no profile does the work and nothing else", async () => {
  expect(unprofiled.of("step", () => 3)).toBe(3);
  const work = Promise.resolve(4);
  expect(unprofiled.of("step", () => work)).toBe(work);
});

it("adds times up by kind", () => {
  const one = {
    seconds: 3,
    kinds: [
      { kind: "a", seconds: 1, calls: 2 },
      { kind: "b", seconds: 2, calls: 1 },
    ],
  };
  const other = {
    seconds: 9,
    kinds: [
      { kind: "b", seconds: 4, calls: 3 },
      { kind: "c", seconds: 5, calls: 1 },
    ],
  };
  expect(addTimes(one, other)).toEqual({
    seconds: 12,
    kinds: [
      { kind: "a", seconds: 1, calls: 2 },
      { kind: "b", seconds: 6, calls: 4 },
      { kind: "c", seconds: 5, calls: 1 },
    ],
  });
});
