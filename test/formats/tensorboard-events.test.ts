import { describe, expect, it } from "vitest";
import {
  crc32c,
  encodeFileVersion,
  encodeHyperparameters,
  encodeImage,
  encodeScalars,
  maskedCrc32c,
} from "../../src/formats/tensorboard-events.ts";
import { decodeEvents } from "./decode-events.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

describe("crc32c", () => {
  // RFC 3720, appendix B.4, whose bytes are listed least significant first; "123456789" is the usual check value
  it.each<[string, Uint8Array, number]>([
    ["32 zeros", new Uint8Array(32), 0x8a9136aa],
    ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8ab43],
    ["0 to 31", Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
    ["31 to 0", Uint8Array.from({ length: 32 }, (_, i) => 31 - i), 0x113fdb5c],
    ["123456789", new TextEncoder().encode("123456789"), 0xe3069283],
    ["nothing", new Uint8Array(0), 0],
  ])("of %s", (_, bytes, expected) => {
    expect(crc32c(bytes)).toBe(expected);
  });

  it("is masked by a rotation of 15 bits and a constant", () => {
    expect(maskedCrc32c(new Uint8Array(0))).toBe(0xa282ead8);
    // 0xe3069283 rotated right by 15 is 0x2507c60d, and 0x2507c60d + 0xa282ead8 = 0xc78ab0e5
    expect(maskedCrc32c(new TextEncoder().encode("123456789"))).toBe(0xc78ab0e5);
  });
});

describe("event records", () => {
  // Both from tensorboard 2.21's Event.SerializeToString() with its masked_crc32c
  it("start a file as TensorBoard's own writer does", () => {
    expect(hex(encodeFileVersion(1700000000.25))).toBe(
      "1800000000000000a37f4b220900001040fc54d9411a0d627261696e2e4576656e743a32338d2fe9",
    );
  });

  it("hold scalars as TensorBoard's own writer writes them", () => {
    const values = new Map([
      ["train_accuracy", 0.625],
      ["é", -1e-3],
    ]);
    expect(hex(encodeScalars(1700000001.5, 2 ** 33 + 5, values))).toBe(
      "33000000000000000ca720560900006040fc54d9411085808080202a220a150a0e747261696e5f616363757261637" +
        "9150000203f0a090a02c3a9156f1283ba20f5d957",
    );
  });

  // scripts/generate-event-records.py, of tensorboard 2.21
  it("hold an image as TensorBoard's own writer writes it", () => {
    const png = Uint8Array.of(0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a); // a PNG file's first bytes
    expect(hex(encodeImage(1700000001.5, 3, "examples/test", { width: 5, height: 2, png }))).toBe(
      [
        "300000000000000095f5d05f0900006040fc54d94110032a230a210a0d6578616d706c65732f7465737422100802",
        "10051803220889504e470d0a1a0a9834abac",
      ].join(""),
    );
  });

  it("hold hyperparameters as TensorBoard's own writer writes them", () => {
    const values = new Map<string, number | boolean | string>([
      ["curriculum", true],
      ["lr", 0.5],
      ["model", "R8_Scenes"],
      ["turns", false],
    ]);
    expect(hex(encodeHyperparameters(1700000001.5, values))).toBe(
      [
        "82000000000000007b3fc35f0900006040fc54d9412a770a750a1c5f68706172616d735f2f73657373696f6e5f73",
        "746172745f696e666f4a550a530a0768706172616d7312481a460a100a0a637572726963756c756d120220010a0f",
        "0a026c72120911000000000000e03f0a140a056d6f64656c120b1a0952385f5363656e65730a0b0a057475726e73",
        "12022000f9894a79",
      ].join(""),
    );
  });

  it("are read back one after the other", () => {
    const bytes = Buffer.concat([encodeFileVersion(1), encodeScalars(2, 0, new Map([["test_reward", 0]]))]);
    expect(decodeEvents(bytes)).toEqual([
      { wallTime: 1, step: 0, fileVersion: "brain.Event:2", scalars: {} },
      { wallTime: 2, step: 0, scalars: { test_reward: 0 } },
    ]);
  });

  it("need a whole step", () => {
    expect(() => encodeScalars(1, -1, new Map())).toThrow("event file: the step must be a whole number ≥ 0, got -1");
  });
});
