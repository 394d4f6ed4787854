import { describe, expect, it } from "vitest";
import {
  centrePatches,
  countPatches,
  fixedColumns,
  fixedRows,
  makeGrid,
  maskBits,
  masksOfCount,
  patchAt,
  patchBox,
  pixelsRead,
  randomMask,
} from "../../src/method/grid.ts";
import { refusal } from "../refusal.ts";

// Written out, so that this file loads whatever makeGrid does.
const grid = { imageSize: 32, patchSize: 8, patchWidth: 8, patchHeight: 8, rows: 4, columns: 4, patches: 16 };

/** The exit code and message of the error that `run` must throw. */
function raised(run: () => unknown): { exitCode: number; message: string } {
  const { exitCode, message } = refusal(run);
  return { exitCode, message };
}

/** A mask drawn as the image is seen, so that an expected value can be checked by eye. */
const drawn = (mask: Uint8Array) => maskBits(mask).match(/.{4}/g)?.join(" ");

/** Gives the numbers of a list, one a call, and notes the bounds that were asked for. */
function scripted(values: number[]) {
  const bounds: number[] = [];
  return {
    bounds,
    integer(bound: number) {
      bounds.push(bound);
      return values[bounds.length - 1];
    },
  };
}

describe("makeGrid", () => {
  it("cuts CIFAR's and ImageNet's images into 4 × 4 patches", () => {
    const square = (patchSize: number) => ({ patchSize, patchWidth: patchSize, patchHeight: patchSize });
    expect(makeGrid(32, 8)).toEqual(grid);
    expect(makeGrid(224, 56)).toEqual({ imageSize: 224, ...square(56), rows: 4, columns: 4, patches: 16 });
    expect(makeGrid(112, 56).patches).toBe(4);
    expect(makeGrid(1, 1)).toEqual({ imageSize: 1, ...square(1), rows: 1, columns: 1, patches: 1 });
  });

  it("cuts an image into rectangles: patches of 8 × 16 pixels make 2 rows of 4", () => {
    const wide = makeGrid(32, "8x16");
    const sides = { patchSize: "8x16", patchWidth: 8, patchHeight: 16 };
    expect(wide).toEqual({ imageSize: 32, ...sides, rows: 2, columns: 4, patches: 8 });
    expect(patchBox(wide, 5)).toEqual({ x: 8, y: 16, width: 8, height: 16 });
    // Column 15 and row 15 are the last of the second patch; one further is the third below it.
    expect([patchAt(wide, 15, 15), patchAt(wide, 16, 16)]).toEqual([1, 6]);
    expect(pixelsRead(wide, 3, 8)).toBe(3 * 8 * 16 + 64);
    expect(maskBits(fixedRows(wide, 4))).toBe("11110000");
    expect(() => makeGrid(32, "8x12")).toThrow("patch size: must divide the image size of 32 pixels, got 8x12");
  });

  it.each([
    [32, 7, "patch size: must divide the image size of 32 pixels, got 7"],
    [8, 32, "patch size: must divide the image size of 8 pixels, got 32"],
    [32, 0, "patch size: must be a whole number of pixels above 0, got 0"],
    [32, 1.6, "patch size: must be a whole number of pixels above 0, got 1.6"],
    [Number.NaN, 8, "image size: must be a whole number of pixels above 0, got NaN"],
  ])("refuses an image of %d with patches of %d", (imageSize, patchSize, message) => {
    expect(raised(() => makeGrid(imageSize, patchSize))).toEqual({ exitCode: 2, message });
  });
});

describe("patchBox", () => {
  it("numbers patches row by row", () => {
    expect(patchBox(grid, 0)).toEqual({ x: 0, y: 0, width: 8, height: 8 });
    expect(patchBox(grid, 3)).toEqual({ x: 24, y: 0, width: 8, height: 8 });
    expect(patchBox(grid, 4)).toEqual({ x: 0, y: 8, width: 8, height: 8 });
    expect(patchBox(grid, 14)).toEqual({ x: 16, y: 24, width: 8, height: 8 });
  });

  it.each([-1, 16, 0.5])("refuses patch %d", (k) => {
    expect(raised(() => patchBox(grid, k))).toEqual({
      exitCode: 70,
      message: `patchBox: patch must be in 0 … 15, got ${k}`,
    });
  });
});

describe("fixed patches", () => {
  it("takes central columns first, then the middle of the next one", () => {
    expect(drawn(fixedColumns(grid, 0))).toBe("0000 0000 0000 0000");
    expect(drawn(fixedColumns(grid, 4))).toBe("0100 0100 0100 0100");
    expect(drawn(fixedColumns(grid, 6))).toBe("0100 0110 0110 0100");
    expect(drawn(fixedColumns(grid, 8))).toBe("0110 0110 0110 0110");
    expect(drawn(fixedColumns(grid, 11))).toBe("1110 1110 1110 0110");
    expect(drawn(fixedColumns(grid, 16))).toBe("1111 1111 1111 1111");
  });

  it("takes central rows first, then the middle of the next one", () => {
    expect(drawn(fixedRows(grid, 4))).toBe("0000 1111 0000 0000");
    expect(drawn(fixedRows(grid, 6))).toBe("0000 1111 0110 0000");
    expect(drawn(fixedRows(grid, 8))).toBe("0000 1111 1111 0000");
    expect(drawn(fixedRows(grid, 11))).toBe("1110 1111 1111 0000");
  });

  it("takes the middle column of an odd number of columns first", () => {
    expect(maskBits(fixedColumns(makeGrid(9, 3), 3))).toBe("010010010");
    expect(maskBits(fixedColumns(makeGrid(9, 3), 4))).toBe("010110010");
  });

  it("takes the patches nearest to the middle: the inner four, the eight beside them, the corners", () => {
    expect(drawn(centrePatches(grid, 1))).toBe("0000 0100 0000 0000");
    expect(drawn(centrePatches(grid, 4))).toBe("0000 0110 0110 0000");
    expect(drawn(centrePatches(grid, 6))).toBe("0110 0110 0110 0000");
    expect(drawn(centrePatches(grid, 12))).toBe("0110 1111 1111 0110");
    expect(drawn(centrePatches(grid, 13))).toBe("1110 1111 1111 0110");
  });

  it.each([fixedColumns, fixedRows, centrePatches])("refuses a number that the grid does not have: %o", (choose) => {
    for (const count of [-1, 17, 2.5, Number.NaN]) {
      expect(raised(() => choose(grid, count))).toEqual({
        exitCode: 2,
        message: `number of patches: must be a whole number from 0 to 16, got ${count}`,
      });
    }
  });
});

describe("randomMask", () => {
  it("draws without replacement: the first steps of a shuffle", () => {
    // 0 … 15: swap 0 with 0 + 5 → 5 first; swap place 1 with 1 + 4, where 0 now is → 0; place 2 with 2 + 13 → 15.
    const random = scripted([5, 4, 13]);
    expect(drawn(randomMask(grid, 3, random))).toBe("1000 0100 0000 0001");
    expect(random.bounds).toEqual([16, 15, 14]);
  });

  it("has exactly as many patches as asked, each as likely as the others", () => {
    let state = 1;
    const random = {
      integer(bound: number) {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // a linear congruential generator
        return Math.floor((state / 2 ** 32) * bound);
      },
    };
    const draws = 4000;
    const taken = new Array<number>(16).fill(0);
    for (let i = 0; i < draws; i++) {
      const mask = randomMask(grid, 6, random);
      expect(countPatches(mask)).toBe(6);
      for (let k = 0; k < 16; k++) taken[k] += mask[k];
    }
    // 6/16 of 4000 is 1500, with a standard deviation of sqrt(4000 · 6/16 · 10/16) = 31; five of them are allowed.
    for (const count of taken) expect(Math.abs(count - 1500)).toBeLessThan(155);
  });

  it("refuses a number that the grid does not have, before drawing", () => {
    const random = scripted([]);
    expect(raised(() => randomMask(grid, 17, random)).exitCode).toBe(2);
    expect(random.bounds).toEqual([]);
  });
});

it("masks of a batch have exactly so many patches, not the same ones, and a smaller batch the first of a larger", () => {
  const rowsOf = (batch: number, count: number) => {
    const masks = masksOfCount(grid, count, { batch, seed: 1 });
    return Array.from({ length: batch }, (_, b) => masks.slice(16 * b, 16 * b + 16));
  };
  for (const count of [0, 2, 8, 12, 16]) {
    const masks = rowsOf(20, count);
    expect(masks.map(countPatches)).toEqual(Array(20).fill(count));
    expect(rowsOf(3, count)).toEqual(masks.slice(0, 3));
    const different = new Set(masks.map(maskBits)).size;
    if (count === 0 || count === 16) expect(different).toBe(1);
    else expect(different).toBeGreaterThan(10);
  }
});

describe("pixelsRead", () => {
  it("is the patches' pixels and those of the low resolution, which is always looked at", () => {
    expect(pixelsRead(grid, 6, 8)).toBe(6 * 64 + 64);
    expect(pixelsRead(grid, 0, 8)).toBe(64);
    expect(pixelsRead(makeGrid(224, 56), 2, 56)).toBe(3 * 3136);
  });
});

describe("maskBits and countPatches", () => {
  it("write patch 0 first and count the ones", () => {
    const mask = Uint8Array.of(1, 0, 0, 1, 1, 0);
    expect(maskBits(mask)).toBe("100110");
    expect(countPatches(mask)).toBe(3);
    expect(maskBits(new Uint8Array(0))).toBe("");
    expect(countPatches(new Uint8Array(16))).toBe(0);
  });
});
