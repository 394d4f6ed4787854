/** Learning by values, and what a round sees, by pencil. */
import { beforeAll, describe, expect, it } from "vitest";
import { makeGrid } from "../../src/method/grid.ts";
import { doubtOf, roundView } from "../../src/method/images.ts";
import { reward } from "../../src/method/reward.ts";
import { doubts, mostInRound } from "../../src/method/rounds.ts";
import { nestedMasks, valueDraws, valueLoss } from "../../src/method/values.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { backward, plantGradient, withGradients } from "../../src/tensor/autograd.ts";
import { scope } from "../../src/tensor/scope.ts";
import { fromArray, type Tensor } from "../../src/tensor/tensor.ts";
import { Random } from "../../src/utils/random.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1, cuda: false });
});

const matrix = (rows: readonly (readonly number[])[]) =>
  fromArray(Float32Array.from(rows.flat()), [rows.length, rows[0].length]);
const vector = (...values: number[]) => fromArray(Float32Array.from(values), [values.length]);
function bitsOf(masks: Tensor): string[] {
  const [batch, patches] = masks.shape;
  const flat = [...masks.toFloat32()].join("");
  return Array.from({ length: batch }, (_, b) => flat.slice(b * patches, (b + 1) * patches));
}
const nested = (rows: readonly (readonly number[])[], rounds: number) =>
  scope(() => {
    const { before, after } = nestedMasks(matrix(rows), rounds);
    return { before: bitsOf(before), after: bitsOf(after) };
  });

describe("two masks of an image", () => {
  // Patch 1 comes first, then 3, 0 and 2.
  const order = [0.5, 0.1, 0.9, 0.3];

  it("are those before and after one of two rounds of at most two patches", () => {
    const rows = [
      [0.3, 0.4, ...order], // the first round, one patch
      [0.3, 0.6, ...order], // the first round, two
      [0.5, 0.4, ...order], // the second round, with the fewest that it can find
      [0.99, 0.99, ...order], // with the most, and all further ones
    ];
    expect(nested(rows, 2)).toEqual({
      before: ["0000", "0000", "0100", "0101"],
      after: ["0100", "0101", "0101", "1111"],
    });
  });

  it("begin with nothing where the policy decides once, and any number follows", () => {
    const rows = [0, 0.25, 0.5, 0.75].map((more) => [0.99, more, ...order]);
    expect(nested(rows, 1)).toEqual({ before: Array(4).fill("0000"), after: ["0100", "0101", "1101", "1111"] });
  });

  it("have every number of patches as often as its round says, and every patch as often as another", () => {
    const [images, patches] = [4000, 16];
    const random = new Random(1, "nested");
    const rows = Array.from({ length: images }, () => [...random.uniforms(new Float32Array(valueDraws(patches)))]);
    const { before } = nested(rows, 4);
    const counts = before.map((mask) => mask.split("1").length - 1);
    // A quarter has none; each number of 1 to 12 has a twelfth of the others: three standard deviations of chance.
    const share = (count: number) => counts.filter((one) => one === count).length / images;
    expect(Math.abs(share(0) - 1 / 4)).toBeLessThan(0.021);
    for (let count = 1; count <= 12; count++) expect(Math.abs(share(count) - 1 / 16)).toBeLessThan(0.0125);
    const taken = Array.from({ length: patches }, (_, k) => before.filter((mask) => mask[k] === "1").length / images);
    for (const one of taken) expect(Math.abs(one - (0.75 * 6.5) / 16)).toBeLessThan(0.022);
  });
});

describe("the loss of values", () => {
  const tried = (masks: number[][], rewards: number[]) => ({ mask: matrix(masks), reward: vector(...rewards) });

  it("is the squared error of what the further patches add, at 0.02 a unit", () => {
    scope(() => {
      // Patches 2 and 3 are said to add 30 + 40 units, 1.4, and add 0.4; nothing is added to the other image.
      const before = tried(
        [
          [0, 1, 0, 0],
          [1, 1, 0, 0],
        ],
        [0.1, 0.7],
      );
      const after = tried(
        [
          [0, 1, 1, 1],
          [1, 1, 0, 0],
        ],
        [0.5, 0.7],
      );
      const logits = matrix([
        [10, 20, 30, 40],
        [1, 2, 3, 4],
      ]);
      const gradient = plantGradient(logits);
      const loss = withGradients(() => valueLoss(logits, before, after));
      backward(loss, [logits]);
      expect(loss.item()).toBeCloseTo((1 + 0) / 2, 5);
      // 2 · 1 · 0.02, as a mean over two images.
      const expected = [0, 0, 0.02, 0.02, 0, 0, 0, 0];
      expect([...gradient.toFloat32()]).toEqual(expected.map((one) => expect.closeTo(one, 6)));
      gradient.free();
    });
  });
});

it("a priced reward is the label's probability less the price of its patches", () => {
  scope(() => {
    const outcome = {
      right: vector(1, 0),
      mask: matrix([
        [1, 0, 1, 0],
        [0, 0, 0, 0],
      ]),
      logits: matrix([
        [0, 0],
        [Math.log(3), 0],
      ]),
      targets: fromArray(BigInt64Array.of(0n, 1n), [2]),
    };
    const earned = [...reward(outcome, { kind: "priced", penalty: -5, price: 0.1 }).toFloat32()];
    expect(earned).toEqual([expect.closeTo(0.5 - 0.2, 6), expect.closeTo(0.25, 6)]);
    const free = [...reward(outcome, { kind: "priced", penalty: -5 }).toFloat32()];
    expect(free).toEqual([expect.closeTo(0.5, 6), expect.closeTo(0.25, 6)]);
  });
});

describe("a round", () => {
  it("may ask for its share of the patches, rounded up", () => {
    expect([1, 2, 3, 4, 16].map((rounds) => mostInRound(16, rounds))).toEqual([16, 8, 6, 4, 1]);
  });

  it("knows how unsure the classifier is: 1 minus its largest probability", () => {
    const found = [...doubts(Float32Array.of(0.5, 0.25, 0.25, 0, 1, 0), 3)];
    expect(found).toEqual([0.5, 0]);
  });

  it("is seen as five planes: what is there over the low resolution, where that is, and the doubt", () => {
    scope(() => {
      // Two images of 4 × 4 with patches of 2 × 2; each channel c of pixel n is 100 · c + n, the second image's 1000 more.
      const pixels = Array.from({ length: 2 * 3 * 16 }, (_, at) => {
        const [image, channel, pixel] = [Math.floor(at / 48), Math.floor(at / 16) % 3, at % 16];
        return 1000 * image + 100 * channel + pixel;
      });
      const images = fromArray(Float32Array.from(pixels), [2, 3, 4, 4]);
      // The low resolution is one pixel an image.
      const low = fromArray(Float32Array.of(-1, -2, -3, -4, -5, -6), [2, 3, 1, 1]);
      const mask = matrix([
        [0, 1, 0, 0],
        [0, 0, 1, 0],
      ]);
      const logits = matrix([
        [Math.log(3), 0],
        [0, 0],
      ]);
      const view = roundView({ images, low, grid: makeGrid(4, 2) }, mask, doubtOf(logits));
      expect(view.shape).toEqual([2, 5, 4, 4]);
      const planes = view.toFloat32();
      const plane = (image: number, channel: number) => [
        ...planes.slice((5 * image + channel) * 16, (5 * image + channel + 1) * 16),
      ];
      const x = -1;
      expect(plane(0, 0)).toEqual([x, x, 2, 3, x, x, 6, 7, x, x, x, x, x, x, x, x]);
      const y = -6;
      expect(plane(1, 2)).toEqual([y, y, y, y, y, y, y, y, 1208, 1209, y, y, 1212, 1213, y, y]);
      expect(plane(0, 3)).toEqual([0, 0, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
      expect(plane(0, 4)).toEqual(Array(16).fill(expect.closeTo(0.25, 6)));
      expect(plane(1, 4)).toEqual(Array(16).fill(0.5));
    });
  });
});
