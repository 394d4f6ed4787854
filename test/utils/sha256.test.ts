import { describe, expect, it } from "vitest";
import { sha256 } from "../../src/utils/sha256.ts";

describe("sha256", () => {
  it("gives the digest of FIPS 180-4's example, whole or in parts of any type", () => {
    const expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"; // "abc"
    expect(sha256("abc")).toBe(expected);
    expect(sha256("a", Uint8Array.of(0x62, 0x63))).toBe(expected);
    expect(sha256()).toBe("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  });

  it("reads a view's own bytes only", () => {
    const words = Int32Array.of(1, 0x64636261, 2);
    expect(sha256(words.subarray(1, 2))).toBe(sha256("abcd"));
  });
});
