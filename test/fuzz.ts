/** How inputs are damaged on purpose, and what must come of it. */
import { expect } from "vitest";
import { PatchDropError } from "../src/errors.ts";
import type { Random } from "../src/utils/random.ts";

/** How many damaged inputs each reader has to stand in a test; more with the environment variable FUZZ. */
export const mutations = Number(process.env.FUZZ ?? 10_000);

/** A copy with one to four bytes changed, and now and then its end cut off. */
export function damaged(whole: Uint8Array, random: Random): Buffer {
  const bytes = Buffer.from(whole);
  for (let i = random.integer(4); i >= 0; i--) bytes[random.integer(bytes.length)] = random.integer(256);
  return random.integer(8) === 0 ? bytes.subarray(0, random.integer(bytes.length)) : bytes;
}

/** Whatever a file holds, the program refuses it as the user's, and never ends with exit code 70: a bug of ours. */
export function expectRefusal(error: unknown): void {
  if (!(error instanceof PatchDropError)) throw error;
  expect(error.kind, error.message).not.toBe("internal");
}
