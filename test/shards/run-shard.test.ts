/** A shard's file: cut anywhere, it is gone on with; what is wrong with a scene stays its own. */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { openManifest } from "../../src/archive/manifest.ts";
import { fault, PatchDropError } from "../../src/errors.ts";
import { type Outcome, runShard, type SceneWork } from "../../src/shards/run-shard.ts";
import { Random } from "../../src/utils/random.ts";
import { type Reporter, Stopped, silentReporter, stopOn } from "../../src/utils/reporter.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const made = { command: "predict", checkpoint: "0123456789ab", settings: "--top 5" } as const;
const ids = Array.from({ length: 30 }, (_, n) => `scene${n}`);

let folder: string;
let out: string;
beforeEach(() => {
  folder = temporaryFolder(onTestFinished);
  out = join(folder, "out");
});

function listOf(names: readonly string[]): string {
  const path = join(folder, "list.jsonl");
  writeFileSync(path, names.map((id) => `${JSON.stringify({ id, href: `${id}.tif` })}\n`).join(""));
  return path;
}

/** Two lines a scene, as acquire has them; those that `errors` names are refused, each the first so many times. */
function workOf(errors: Record<string, { kind: "input" | "system"; times: number }> = {}) {
  const done: string[] = [];
  const left = new Map(Object.entries(errors).map(([id, { times }]) => [id, times]));
  const outcome = (id: string): Outcome => {
    done.push(id);
    const times = left.get(id) ?? 0;
    left.set(id, times - 1);
    if (times > 0) return { error: fault(errors[id].kind, { where: id, rule: "must be there" }) };
    return { lines: `${JSON.stringify({ of: id, part: 1 })}\n${JSON.stringify({ id, class: "a" })}\n` };
  };
  const work: SceneWork = {
    groupSize: 2,
    atOnce: 2,
    run: async (scenes) => scenes.map(({ item }) => outcome(item.id)),
  };
  return { work, done };
}

async function run(
  work: SceneWork,
  { names = ids, how = made, reporter = silentReporter, shard = { index: 0, count: 1 } } = {} as {
    names?: readonly string[];
    how?: { command: "predict" | "acquire"; checkpoint: string; settings: string };
    reporter?: Reporter;
    shard?: { index: number; count: number };
  },
) {
  const manifest = await openManifest(listOf(names));
  return runShard({ manifest, shard, out, wanted: {}, made: how }, work, reporter);
}

const file = () => join(out, "shard-0-of-1.jsonl");
const partial = () => join(out, ".shard-0-of-1.jsonl.partial");
const linesIn = (path: string) =>
  readFileSync(path, "utf8")
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line));

it("writes one file, which doing it again leaves as it is", async () => {
  const { work, done } = workOf();
  expect(await run(work)).toEqual({ path: file(), scenes: 30, failed: 0 });
  expect(done).toEqual(ids);
  const [header, ...lines] = linesIn(file());
  expect(header).toEqual({
    ...{ shard: [0, 1], ...made },
    manifest: { name: "list.jsonl", bytes: expect.any(Number), sha256: expect.stringMatching(/^[0-9a-f]{64}$/) },
    part: expect.stringMatching(/^[0-9a-f]{16}$/),
  });
  expect(lines.at(-1)).toEqual({ end: { scenes: 30, failed: 0 } });
  expect(lines.slice(0, -1)).toEqual(
    ids.flatMap((id) => [
      { of: id, part: 1 },
      { id, class: "a" },
    ]),
  );
  const before = readFileSync(file());
  expect(await run(work)).toEqual({ path: file(), scenes: 30, failed: 0 });
  expect(done).toHaveLength(30);
  expect(readFileSync(file())).toEqual(before);
  expect(readdirSync(out)).toEqual(["shard-0-of-1.jsonl"]);
});

it("goes on where it was cut, at whichever byte, and ends with the same lines", async () => {
  await run(workOf().work);
  const whole = readFileSync(file());
  const lines = linesIn(file());
  const random = new Random(1, "cuts");
  for (const cut of [0, 1, 40, whole.length - 1, ...Array.from({ length: 25 }, () => random.integer(whole.length))]) {
    writeFileSync(partial(), whole.subarray(0, cut));
    renameSync(file(), join(folder, "aside"));
    const { work, done } = workOf();
    expect(await run(work)).toEqual({ path: file(), scenes: 30, failed: 0 });
    expect(linesIn(file())).toEqual(lines);
    const text = whole.toString("utf8", 0, cut);
    expect(done).toHaveLength(30 - [...text.matchAll(/\{"id":.*\n/g)].length);
  }
});

describe("a scene that", () => {
  it("can't be read is a line with its reason, and the others are done", async () => {
    const { work } = workOf({ scene3: { kind: "input", times: 1 }, scene7: { kind: "input", times: 1 } });
    expect(await run(work)).toEqual({ path: file(), scenes: 30, failed: 2 });
    expect(linesIn(file()).filter(({ error }) => error !== undefined)).toEqual([
      { id: "scene3", error: "scene3: must be there", kind: "input" },
      { id: "scene7", error: "scene7: must be there", kind: "input" },
    ]);
    // What is counted of a complete file is the same.
    expect(await run(work)).toEqual({ path: file(), scenes: 30, failed: 2 });
  });

  it("no server sends is tried once more after the others", async () => {
    const { work, done } = workOf({ scene3: { kind: "system", times: 1 }, scene7: { kind: "system", times: 9 } });
    expect(await run(work)).toEqual({ path: file(), scenes: 30, failed: 1 });
    expect(done.slice(30)).toEqual(["scene3", "scene7"]);
    expect(linesIn(file()).at(-2)).toEqual({ id: "scene7", error: "scene7: must be there", kind: "system" });
  });

  it("is there twice ends the shard before it begins", async () => {
    const { work, done } = workOf();
    await expect(run(work, { names: [...ids, "scene4"] })).rejects.toThrow(
      /list.jsonl: must have each scene once, got scene4 twice; remove one of them$/,
    );
    expect(done).toEqual([]);
  });
});

it("ends where no server answers for twenty scenes in a row, keeps what is there, and goes on", async () => {
  const silent = Object.fromEntries(ids.slice(5).map((id) => [id, { kind: "system", times: 1 } as const]));
  const first = workOf(silent);
  const error: unknown = await run(first.work).catch((thrown) => thrown);
  expect(error instanceof PatchDropError && error.kind).toBe("system");
  expect(linesIn(partial()).filter(({ id }) => id !== undefined)).toHaveLength(5);
  const second = workOf();
  expect(await run(second.work)).toEqual({ path: file(), scenes: 30, failed: 0 });
  expect(second.done).toEqual(ids.slice(5));
});

it("gives up many scenes without an answer where others had one", async () => {
  const many = Array.from({ length: 300 }, (_, n) => `scene${n}`);
  const silent = Object.fromEntries(
    many.filter((_, n) => n % 7 === 3).map((id) => [id, { kind: "system", times: 9 } as const]),
  );
  const count = Object.keys(silent).length;
  expect(count).toBeGreaterThan(40);
  expect(await run(workOf(silent).work, { names: many })).toEqual({ path: file(), scenes: 300, failed: count });
});

it("takes refusals for answers", async () => {
  const errors = Object.fromEntries(
    ids.map((id, n) => [id, { kind: n % 10 === 9 ? "input" : "system", times: 9 } as const]),
  );
  expect(await run(workOf(errors).work)).toEqual({ path: file(), scenes: 30, failed: 30 });
});

it("ends by a signal, keeps what is there, and goes on", async () => {
  const { work } = workOf();
  const stop = new AbortController();
  const stopping: SceneWork = {
    ...work,
    async run(scenes) {
      if (scenes.some(({ item }) => item.id === "scene9")) stop.abort();
      return work.run(scenes);
    },
  };
  await expect(run(stopping, { reporter: stopOn(stop.signal) })).rejects.toBeInstanceOf(Stopped);
  expect(existsSync(file())).toBe(false);
  const kept = linesIn(partial()).filter(({ id }) => id !== undefined).length;
  expect(kept).toBeGreaterThan(5);
  const second = workOf();
  await run(second.work);
  expect(second.done).toEqual(ids.slice(kept));
});

it.each([
  [
    "checkpoint",
    { ...made, checkpoint: "ba9876543210" },
    "was begun with another checkpoint: 0123456789ab, got ba9876543210",
  ],
  ["settings", { ...made, settings: "--top 1" }, "was begun with other settings: --top 5, got --top 1"],
  ["command", { ...made, command: "acquire" as const }, "was begun with another command: predict, got acquire"],
])("does not go on with another %s, whether complete or not", async (_, how, message) => {
  await run(workOf().work);
  await expect(run(workOf().work, { how })).rejects.toMatchObject({
    kind: "locked",
    message: expect.stringContaining(message),
  });
  const whole = readFileSync(file());
  renameSync(file(), partial());
  truncateSync(partial(), whole.length - 30);
  await expect(run(workOf().work, { how })).rejects.toMatchObject({ kind: "locked" });
  await expect(run(workOf().work, { names: ids.slice(1) })).rejects.toThrow(
    /was begun with another manifest: list.jsonl, \d+ bytes/,
  );
});

it("sees a change in the midst of a long list, where only the shards differ that it is in", async () => {
  const long = Array.from({ length: 40_000 }, (_, n) => `scene-${String(n).padStart(40, "0")}`);
  const names = (at: number) => long.map((id, n) => (n === at ? id.replace("scene", "other") : id));
  const shard = { index: 0, count: 2 };
  const fast: SceneWork = { ...workOf().work, groupSize: 1000 };
  await run(fast, { names: long, shard });
  expect(await run(fast, { names: names(30_000), shard })).toMatchObject({ scenes: expect.any(Number) });
  await expect(run(fast, { names: names(15_000), shard })).rejects.toMatchObject({
    kind: "locked",
    message: expect.stringMatching(/was begun with other scenes: [0-9a-f]{16}, got /),
  });
});

it("refuses another number of shards in its folder, and leaves nothing of a list with a scene twice", async () => {
  await expect(run(workOf().work, { names: [...ids, "scene4"] })).rejects.toThrow("scene4 twice");
  expect(existsSync(out)).toBe(false);
  await run(workOf().work, { shard: { index: 1, count: 2 } });
  await expect(run(workOf().work, { shard: { index: 0, count: 3 } })).rejects.toThrow(
    `${out}: was begun with 2 shards (shard-1-of-2.jsonl), got I/3; give the same N, or another --out`,
  );
});

it("refuses a file of something else, and leaves it", async () => {
  mkdirSync(out);
  writeFileSync(file(), "my notes\n");
  await expect(run(workOf().work)).rejects.toThrow(/byte 0: must be a line of a shard's results, got my notes/);
  expect(readFileSync(file(), "utf8")).toBe("my notes\n");
});
