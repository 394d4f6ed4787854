import { expect, it } from "vitest";
import { closest, didYouMean } from "../../src/utils/closest.ts";

it("finds the word that takes the fewest errors of typing", () => {
  // One letter left out, one put in, one replaced.
  expect(closest("max_epoch", ["model", "max_epochs", "epoch_step"])).toBe("max_epochs");
  expect(closest("seeed", ["device", "seed"])).toBe("seed");
  expect(closest("penalti", ["alpha", "penalty"])).toBe("penalty");
  // 1 edit beats 2, whatever the order.
  expect(closest("lod", ["load_x", "load"])).toBe("load");
  expect(didYouMean("batchsize", ["batch_size"])).toBe("did you mean batch_size?");
});

it("gives none where a third of the letters are others", () => {
  // kitten → sitting: 3 edits of 7 letters.
  expect(closest("kitten", ["sitting"])).toBeUndefined();
  expect(closest("kittin", ["sitting"])).toBe("sitting");
  expect(closest("wd", ["lr"])).toBeUndefined();
  expect(didYouMean("speed", [])).toBeUndefined();
});
