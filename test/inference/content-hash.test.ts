/** An exported model says what it holds: whichever byte of it changes, it is refused by the file's name. */
import { createHash } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { encodeOnnx, withOnnxMetadata } from "../../src/formats/onnx.ts";
import { outsideMetadata, readOnnxMetadata } from "../../src/formats/onnx-metadata.ts";
import { withContentHash } from "../../src/inference/content-hash.ts";
import { openExported } from "../../src/inference/exported.ts";
import { refusal } from "../refusal.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
let file: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  file = join(folder, "classifier.onnx");
});

/** As `patchdrop export` has them, of a run of one classifier. */
const metadata = new Map([
  ["model", "R8_Scenes 2019"],
  ["network", "resnet_hr"],
  ["networks", '["resnet_hr"]'],
  ["checkpoint_sha256", "ab".repeat(32)],
  ["image_size", "32"],
  ["patch_size", "8"],
  ["low_size", "8"],
  ["transform_name", "cifar"],
  ["mean", "[0.5,0.5,0.5]"],
  ["std", "[0.25,0.25,0.25]"],
  ["fill", "dropped patches are 0 after normalization"],
  ["classes", '["a","b"]'],
  ["threshold", "0.5"],
]);
const older = encodeOnnx(
  {
    name: "g",
    nodes: [{ operator: "Identity", inputs: ["w"], output: "y", attributes: {} }],
    initializers: [{ name: "w", shape: [3], values: Float32Array.of(1, 2, 3) }],
    input: { name: "x", shape: [1] },
    output: { name: "y", shape: [3] },
  },
  { producer: "p", producerVersion: "1", metadata },
);
const model = withContentHash(older);
const sha256 = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");

describe("withContentHash", () => {
  it("adds the hash of all that lies before its entry, and changes nothing else", () => {
    const said = readOnnxMetadata(model, "m");
    const stated = said.get("content_sha256")!;
    // The entry has a tag and a length, then a key of 14 letters and a value of 64, each with a tag and a length.
    const entry = 2 + (2 + 14) + (2 + 64);
    expect(stated).toBe(sha256(model.subarray(0, model.length - entry)));
    expect(model.subarray(0, older.length)).toEqual(older);
    expect([...said.keys()]).toEqual([...metadata.keys(), "content", "content_sha256"]);
  });
});

describe("outsideMetadata", () => {
  it("is all that lies before, between and behind entries with the key", () => {
    const parts = ["k", "other", "k", "end"].reduce((bytes, key) => withOnnxMetadata(bytes, key, "v"), older);
    const rest = ["other", "end"].reduce((bytes, key) => withOnnxMetadata(bytes, key, "v"), older);
    expect(Buffer.concat(outsideMetadata("k", parts, "m"))).toEqual(rest);
    expect(Buffer.concat(outsideMetadata("none", parts, "m"))).toEqual(parts);
  });
});

describe("openExported", () => {
  it("opens a model that is whole, and an older one without a hash", () => {
    for (const bytes of [model, older]) {
      writeFileSync(file, bytes);
      expect(openExported(folder).description.classes).toEqual(["a", "b"]);
    }
  });

  it("refuses a changed weight with both hashes", () => {
    const bytes = Buffer.from(model);
    const at = bytes.indexOf(Buffer.from(Float32Array.of(1, 2, 3).buffer));
    bytes[at] ^= 1;
    writeFileSync(file, bytes);
    const stated = readOnnxMetadata(model, "m").get("content_sha256");
    const error = refusal(() => openExported(folder));
    expect([error.exitCode, error.message]).toEqual([
      3,
      `${file}: must have the content that was exported, with the SHA-256 ${stated}, ` +
        `got ${sha256(bytes.subarray(0, bytes.length - 84))}; export the run again (patchdrop export), or copy the file again`,
    ]);
  });

  it("refuses any changed byte, by the file's name", () => {
    for (let at = 0; at < model.length; at++) {
      for (const bit of [1, 0x10, 0x80]) {
        const bytes = Buffer.from(model);
        bytes[at] ^= bit;
        writeFileSync(file, bytes);
        const { kind, message } = refusal(() => openExported(folder));
        expect([kind, message.startsWith(`${file}: `)], `byte ${at}`).toEqual(["input", true]);
      }
    }
    expect(readFileSync(file).length).toBe(model.length);
  });
});
