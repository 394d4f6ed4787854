/** A checkpoint folder: what is written, what is read back, and what of a changed folder is refused, field by field. */
import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { z } from "zod";
import {
  checkpointName,
  parseAs,
  readCheckpoint,
  readJson,
  readState,
  writeCheckpoint,
} from "../../src/checkpoints/checkpoint.ts";
import { decodeSafetensors } from "../../src/formats/safetensors.ts";
import { refusal } from "../refusal.ts";
import { save, savedConfig, state } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

const at = (...names: string[]) => join(folder, ...names);
const record = { sequence: 4, logs: { "metrics.jsonl": 12 }, config: savedConfig };

/** Writes a checkpoint, then puts `fields` into its state without a new checksum: fields are checked first. */
function changed(fields: Record<string, unknown>): string {
  writeCheckpoint(at("c"), save(1), record);
  const file = at("c", "state.json");
  writeFileSync(file, JSON.stringify({ ...JSON.parse(readFileSync(file, "utf8")), ...fields }));
  return file;
}

describe("writeCheckpoint", () => {
  it("is read back, with the record that the run added", () => {
    writeCheckpoint(at("c"), save(1), record);
    const { networks, optimizer, progress } = save(1);
    expect(readCheckpoint(at("c"))).toEqual({ path: at("c"), networks, optimizer, progress, ...record });
  });

  it("marks its tensors as PyTorch's, as safetensors' own writer does", () => {
    writeCheckpoint(at("c"), save(1), record);
    for (const name of ["agent", "resnet_hr", "optimizer"]) {
      const { metadata } = decodeSafetensors(readFileSync(at("c", `${name}.safetensors`)), name);
      expect(metadata, name).toEqual(new Map([["format", "pt"]]));
    }
  });

  it("ends its state with a checksum of the JSON before it", () => {
    writeCheckpoint(at("c"), save(1), record);
    const text = readFileSync(at("c", "state.json"), "utf8");
    const { sha256, ...rest } = JSON.parse(text);
    expect(sha256).toBe(createHash("sha256").update(JSON.stringify(rest)).digest("hex"));
    expect(text.endsWith("}\n")).toBe(true);
    expect(rest.format).toBe(1);
  });

  it.each(["", "1a", "a.b", "a/b", "../a", "optimizer", " a", "a "])("refuses a network called %j", (name) => {
    const error = refusal(() =>
      writeCheckpoint(at("c"), { ...save(1), networks: new Map([[name, state(1)]]) }, record),
    );
    expect(error.kind).toBe("internal");
    expect(error.message).toBe(`checkpoint: a network's name must name a file, got ${name || '""'}`);
    expect(readdirSync(folder)).toEqual([]);
  });

  it.each(["a", "B", "resnet_50-x"])("takes a network called %s", (name) => {
    writeCheckpoint(at("c"), { ...save(1), networks: new Map([[name, state(1)]]) }, record);
    expect([...readCheckpoint(at("c")).networks]).toEqual([[name, state(1)]]);
  });
});

describe("readState", () => {
  it.each([
    ["format", 2],
    ["sequence", -1],
    ["sequence", 0.5],
    ["files", { "1a.safetensors": { bytes: 1, sha256: "0".repeat(64) } }],
    ["files", { "x/a.safetensors": { bytes: 1, sha256: "0".repeat(64) } }],
    ["files", { "a b.safetensors": { bytes: 1, sha256: "0".repeat(64) } }],
    ["files", { "a.safetensors.gz": { bytes: 1, sha256: "0".repeat(64) } }],
    ["files", { "a.safetensors": { bytes: -1, sha256: "0".repeat(64) } }],
    ["files", { "a.safetensors": { bytes: 1, sha256: "0".repeat(63) } }],
    ["files", { "a.safetensors": { bytes: 1, sha256: `x${"0".repeat(64)}` } }],
    ["files", { "a.safetensors": { bytes: 1, sha256: `${"0".repeat(64)}x` } }],
    ["files", { "a.safetensors": { bytes: 1, sha256: "g".repeat(64) } }],
    ["files", { "a.safetensors": {} }],
    ["logs", { ".hidden": 1 }],
    ["logs", { "a/b": 1 }],
    ["logs", { "/a": 1 }],
    ["logs", { "a.jsonl": -1 }],
    ["progress", []],
    ["progress", null],
    ["config", {}],
    ["config", { ...savedConfig, options: [] }],
    ["config", { ...savedConfig, dataset: { name: 1, fingerprint: "ab12" } }],
    ["config", { ...savedConfig, dataset: { name: "CIFAR-10", fingerprint: 1 } }],
  ])("refuses %s: %j", (field, value) => {
    const file = changed({ [field]: value });
    const error = refusal(() => readState(at("c")));
    expect(error.kind).toBe("input");
    expect(error.message.startsWith(`${file}: ${field}`)).toBe(true);
  });

  it.each([
    ["sequence", 0],
    ["files", { "A-b_1.safetensors": { bytes: 0, sha256: "0123456789abcdef".repeat(4) } }],
    ["logs", { "-_a.1": 0, a: 1 }],
  ])("takes %s: %j, and then asks for the checksum", (field, value) => {
    const file = changed({ [field]: value });
    const error = refusal(() => readState(at("c")));
    expect(error.kind).toBe("input");
    expect(error.message).toBe(`${file}: does not match its own checksum; use another checkpoint`);
  });

  it("says what a field must be", () => {
    const file = changed({ progress: [], config: { ...savedConfig, options: 1, dataset: null } });
    expect(refusal(() => readState(at("c"))).message.split("\n")).toEqual([
      `${file}: progress: must be an object`,
      `${file}: config.options: must be an object`,
      `${file}: config.dataset: must be an object with name and fingerprint`,
    ]);
  });

  it.each(["null", "[]", "1"])("refuses %s in the place of an object", (text) => {
    writeCheckpoint(at("c"), save(1), record);
    writeFileSync(at("c", "state.json"), text);
    expect(refusal(() => readState(at("c"))).message).toMatch(/state\.json: Invalid input: expected object/);
  });
});

describe("readCheckpoint", () => {
  it("says which file cannot be read", () => {
    writeCheckpoint(at("c"), save(1), record);
    rmSync(at("c", "agent.safetensors"));
    mkdirSync(at("c", "agent.safetensors"));
    const error = refusal(() => readCheckpoint(at("c")));
    expect(error.kind).toBe("system");
    expect(error.message).toMatch(/agent\.safetensors: could not be read \(EISDIR: .*\); check the disk and the path$/);
  });

  it("takes an optimizer without moments where the state lists none", () => {
    writeCheckpoint(at("c"), { ...save(1), optimizer: new Map() }, record);
    expect(readCheckpoint(at("c")).optimizer).toEqual(new Map());
  });
});

describe("readJson", () => {
  it("reads a file", () => {
    writeFileSync(at("a.json"), '{"a": [1]}');
    expect(readJson(at("a.json"), "unread")).toEqual({ a: [1] });
  });

  it("says what to do about one that is missing, or lies below a file", () => {
    writeFileSync(at("a.json"), "{}");
    for (const path of [at("b.json"), at("a.json", "b.json")]) {
      const error = refusal(() => readJson(path, "do this"));
      expect([error.kind, error.message]).toEqual(["input", `${path}: is missing; do this`]);
    }
  });

  it.each([
    ["no JSON", Buffer.from("{")],
    ["bytes that are no text", Buffer.from([0x22, 0xff, 0x22])],
  ])("refuses %s", (_, bytes) => {
    writeFileSync(at("a.json"), bytes);
    const error = refusal(() => readJson(at("a.json"), "do this"));
    expect(error.kind).toBe("input");
    expect(error.message).toMatch(/a\.json: must be JSON, got .+; do this$/);
  });
});

describe("parseAs", () => {
  const schema = z.object({ inner: z.object({ numbers: z.array(z.number("must be a number")) }) });

  it("gives the value, or names each field that is wrong", () => {
    expect(parseAs(schema, { inner: { numbers: [1] } }, "file")).toEqual({ inner: { numbers: [1] } });
    const error = refusal(() => parseAs(schema, { inner: { numbers: [1, "2", 3, "4"] } }, "file"));
    expect([error.kind, error.message]).toEqual([
      "input",
      "file: inner.numbers.1: must be a number\nfile: inner.numbers.3: must be a number",
    ]);
  });

  it("names the file alone where the whole is wrong", () => {
    expect(refusal(() => parseAs(z.object({}, "must be an object"), 1, "file")).message).toBe(
      "file: must be an object",
    );
  });

  it("lists twenty faults at most", () => {
    const numbers = Array.from({ length: 25 }, String);
    expect(refusal(() => parseAs(schema, { inner: { numbers } }, "file")).faults).toHaveLength(20);
  });
});

describe("checkpointName", () => {
  it("has three digits of the accuracy, two of the reward, and the step of one that was made inside an epoch", () => {
    const tested = { accuracy: 0.6434, reward: -0.126 };
    expect(checkpointName({ epoch: 2, step: 0, tested })).toBe("ckpt_E_2_A_0.643_R_-0.13");
    expect(checkpointName({ epoch: 0, step: 7, tested: { accuracy: 1 } })).toBe("ckpt_E_0_A_1.000_R_0.00_S_7");
  });

  it("says no numbers where there was no test", () => {
    expect(checkpointName({ epoch: 3, step: 0 })).toBe("ckpt_E_3");
    expect(checkpointName({ epoch: 3, step: 12 })).toBe("ckpt_E_3_S_12");
  });
});
