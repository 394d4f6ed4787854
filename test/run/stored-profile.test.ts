import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, it } from "vitest";
import { withChecksum } from "../../src/checkpoints/checkpoint.ts";
import { readProfile, withSession, writeProfile } from "../../src/run/stored-profile.ts";
import type { RunTimes } from "../../src/utils/profile.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
let file: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  file = join(folder, "profile.json");
});

const profile: RunTimes = {
  sessions: 2,
  seconds: 8.00000049,
  training: { device: "cpu", threads: 2, precision: "bf16", images: 4000, imagesPerSecond: 571.428571 },
  kinds: [
    { kind: "other", seconds: 1, calls: 0 },
    { kind: "backward", seconds: 5.33333333, calls: 1200 },
    { kind: "policy", seconds: 1.66666716, calls: 1200 },
  ],
};

it("is a documented JSON, with what takes most first", () => {
  writeProfile(folder, profile);
  const { sha256, ...stored } = JSON.parse(readFileSync(file, "utf8"));
  expect(stored).toEqual({
    format: 1,
    sessions: 2,
    seconds: 8,
    training: { device: "cpu", threads: 2, precision: "bf16", images: 4000, images_per_second: 571.43 },
    kinds: [
      { kind: "backward", seconds: 5.333333, calls: 1200, share: 0.6667 },
      { kind: "policy", seconds: 1.666667, calls: 1200, share: 0.2083 },
      { kind: "other", seconds: 1, calls: 0, share: 0.125 },
    ],
  });
  expect(sha256).toMatch(/^[0-9a-f]{64}$/);
});

it("is read as it was stored", () => {
  expect(readProfile(folder)).toBeUndefined();
  const { training: _, ...ofExperiment } = profile;
  for (const one of [profile, ofExperiment, { sessions: 1, seconds: 0, kinds: [] }]) {
    writeProfile(folder, one);
    const read = readProfile(folder)!;
    expect(read.sessions).toBe(one.sessions);
    expect(read.seconds).toBeCloseTo(one.seconds, 5);
    expect(read.kinds.map(({ kind }) => kind).sort()).toEqual(one.kinds.map(({ kind }) => kind).sort());
    // What was read is stored again to the byte.
    const bytes = readFileSync(file);
    writeProfile(folder, read);
    expect(readFileSync(file)).toEqual(bytes);
  }
});

it("adds sessions up", () => {
  const times = { seconds: 3, kinds: [{ kind: "policy", seconds: 3, calls: 10 }] };
  expect(withSession(undefined, times)).toEqual({ sessions: 1, ...times });
  expect(withSession({ ...times, sessions: 4 }, times)).toEqual({
    sessions: 5,
    seconds: 6,
    kinds: [{ kind: "policy", seconds: 6, calls: 20 }],
  });
});

it("that has changed is refused", () => {
  writeProfile(folder, profile);
  const stored = readFileSync(file, "utf8");
  for (const other of [stored.replace("1200", "1201"), "null", "{}", "[]"]) {
    writeFileSync(file, other);
    expect(() => readProfile(folder)).toThrow(
      `${file}: does not match its own checksum; remove it: nothing else needs it`,
    );
  }
  writeFileSync(file, stored.slice(0, 100));
  expect(() => readProfile(folder)).toThrow(/profile\.json: must be JSON, got .*; remove it: nothing else needs it$/);
});

it.each<[string, object, string]>([
  ["another format", { format: 2 }, "format"],
  ["a field that nobody knows", { gpu: 1 }, "gpu"],
  ["negative seconds", { seconds: -1 }, "seconds"],
  ["no sessions", { sessions: 0 }, "sessions"],
  ["a share above one", { kinds: [{ kind: "a", seconds: 1, calls: 1, share: 1.5 }] }, "kinds.0.share"],
  ["a part of a call", { kinds: [{ kind: "a", seconds: 1, calls: 0.5, share: 1 }] }, "kinds.0.calls"],
  [
    "a kind with a field that nobody knows",
    { kinds: [{ kind: "a", seconds: 1, calls: 1, share: 1, x: 1 }] },
    "kinds.0",
  ],
])("with %s is refused, though its checksum is right", (_, change, place) => {
  const right = { format: 1, sessions: 1, seconds: 1, kinds: [] };
  writeFileSync(file, JSON.stringify(withChecksum(right)));
  expect(readProfile(folder)).toEqual({ sessions: 1, seconds: 1, kinds: [] });
  writeFileSync(file, JSON.stringify(withChecksum({ ...right, ...change })));
  expect(() => readProfile(folder)).toThrow(`${place}`);
  expect(() => readProfile(folder)).toThrow(/profile\.json/);
});

it("that is a folder is refused", () => {
  mkdirSync(file);
  expect(() => readProfile(folder)).toThrow(/profile\.json: could not be read/);
  expect(() => writeProfile(folder, profile)).toThrow(/profile\.json: could not be written/);
  expect(existsSync(file)).toBe(true);
});
