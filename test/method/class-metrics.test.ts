import { expect, it } from "vitest";
import { ClassAccumulator } from "../../src/method/class-metrics.ts";

it("counts accuracy and patches by class, over batches", () => {
  const classes = new ClassAccumulator(3, 2);
  classes.add([0, 2], Float32Array.of(1, 0), Uint8Array.of(1, 1, 0, 1));
  classes.add([0], Float32Array.of(0), Uint8Array.of(1, 0));
  const [first, second, third] = classes.results();
  // Of the first class one of two is right; they take 2 and 1 patches, both the left one.
  expect(first).toEqual({ images: 2, accuracy: 0.5, patches: 1.5, patchUse: [1, 0.5] });
  expect(second).toMatchObject({ images: 0, accuracy: Number.NaN });
  expect(third).toEqual({ images: 1, accuracy: 0, patches: 1, patchUse: [0, 1] });
});

it("keeps the patches of one class apart from those of the next", () => {
  const classes = new ClassAccumulator(2, 2);
  classes.add([0, 1], Float32Array.of(1, 1), Uint8Array.of(0, 1, 1, 0));
  expect(classes.results().map(({ patchUse }) => patchUse)).toEqual([
    [0, 1],
    [1, 0],
  ]);
});
