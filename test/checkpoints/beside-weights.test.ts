/** Files about a checkpoint's weights: where they lie, what each holds, and when they are refused. */
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  aboutWeights,
  readBesideWeights,
  weightsHash,
  writeBesideWeights,
} from "../../src/checkpoints/beside-weights.ts";
import { writeCheckpoint } from "../../src/checkpoints/checkpoint.ts";
import { refusal } from "../refusal.ts";
import { save, savedConfig } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
const record = { sequence: 1, logs: {}, config: savedConfig };
const at = (name: string) => join(folder, name);
const sha256 = (text: string) => createHash("sha256").update(text).digest("hex");

const said = (action: () => unknown) => {
  const { kind, message } = refusal(action);
  return `${kind}: ${message}`;
};

const kind = {
  name: "size.json",
  schema: z.strictObject({ ...aboutWeights, metres: z.number() }),
  made: "measured with",
  again: "measure again",
} as const;

beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  writeFileSync(at("hr.pth"), "weights");
});

describe("a file beside weights", () => {
  const file = () => at("hr.pth.size.json");
  /** Writes the file with a checksum that is right. */
  const put = (content: object) => {
    writeFileSync(file(), JSON.stringify({ ...content, sha256: sha256(JSON.stringify(content)) }));
  };

  it("holds what it says, its format, the weights' hash and a checksum of all that", () => {
    expect(readBesideWeights(at("hr.pth"), kind)).toBeUndefined();
    expect(writeBesideWeights(at("hr.pth"), kind, { metres: 2 })).toBe(file());
    const content = { format: 1, metres: 2, checkpoint: sha256("weights") };
    const written = { ...content, sha256: sha256(JSON.stringify(content)) };
    expect(readFileSync(file(), "utf8")).toBe(`${JSON.stringify(written, null, 2)}\n`);
    expect(readBesideWeights(at("hr.pth"), kind)).toEqual({ own: { metres: 2 }, checkpoint: sha256("weights") });
  });

  it("lies within a checkpoint that is a folder", () => {
    writeCheckpoint(at("1"), save(1), record);
    expect(writeBesideWeights(at("1"), kind, { metres: 3 })).toBe(join(at("1"), "size.json"));
    expect(readBesideWeights(at("1"), kind)).toEqual({ own: { metres: 3 }, checkpoint: weightsHash(at("1")) });
  });

  it("is refused beside other weights, changed, or with a field that is wrong", () => {
    const reading = () => readBesideWeights(at("hr.pth"), kind);
    put({ format: 1, metres: 2, checkpoint: sha256("other weights") });
    expect(said(reading)).toBe(`input: ${file()}: must have been measured with the weights beside it; measure again`);
    const old = { format: 1, metres: 2, checkpoint: sha256("weights") };
    const changed = `input: ${file()}: does not match its own checksum; measure again`;
    for (const other of [old, null, { ...old, sha256: sha256("another") }]) {
      writeFileSync(file(), JSON.stringify(other));
      expect(said(reading)).toBe(changed);
    }
    for (const [field, value] of Object.entries({ format: 2, metres: "2", checkpoint: "weights" })) {
      put({ ...old, [field]: value });
      expect(said(reading)).toContain(`input: ${file()}: ${field}: `);
    }
  });

  it("may lack a checksum where files of 0.1 did, but not have a wrong one", () => {
    const older = { ...kind, mayLackChecksum: true };
    const content = { format: 1, metres: 2, checkpoint: sha256("weights") };
    const schema = z.strictObject({ ...aboutWeights, sha256: z.string().optional(), metres: z.number() });
    const reading = () => readBesideWeights(at("hr.pth"), { ...older, schema });
    writeFileSync(file(), JSON.stringify(content));
    expect(reading()).toEqual({ own: { metres: 2 }, checkpoint: sha256("weights") });
    writeFileSync(file(), JSON.stringify({ ...content, sha256: sha256("another") }));
    expect(said(reading)).toBe(`input: ${file()}: does not match its own checksum; measure again`);
  });
});

describe("the hash of weights", () => {
  it("is that of a checkpoint's only file", () => {
    expect(weightsHash(at("hr.pth"))).toBe(sha256("weights"));
  });

  it("is the same whatever the optimizer's moments are", () => {
    for (const step of [1, 2]) writeCheckpoint(at(String(step)), save(step), record);
    writeCheckpoint(at("3"), { ...save(1), optimizer: new Map() }, record);
    expect(weightsHash(at("3"))).toBe(weightsHash(at("1")));
    expect(weightsHash(at("3"))).not.toBe(weightsHash(at("2")));
  });

  it("needs a file that can be read", () => {
    expect(() => weightsHash(at("none"))).toThrow("ENOENT");
    if (!existsSync("/proc/self/mem")) return; // a file that is there and whose first byte cannot be read
    expect(() => weightsHash("/proc/self/mem")).toThrow(
      expect.objectContaining({
        kind: "system",
        message: expect.stringMatching(/^\/proc\/self\/mem: could not be read \(/),
      }),
    );
  });
});
