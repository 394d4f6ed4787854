/** Looking, reading and classifying overlap, and what comes of it never depends on how soon a server answers. */
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import { Fetcher } from "../../src/acquire/fetcher.ts";
import { Ledger } from "../../src/acquire/ledger.ts";
import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import { Random } from "../../src/utils/random.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { blockScene, brightPolicy, limits, writeScene } from "./scenes.ts";
import { type Answer, regular, serveFile } from "./server.ts";

/** 13 × 9 windows, in tiles that fit neither windows nor patches, so that windows share them. */
const scene = blockScene(403, 283);
const choices = { ...limits, top: 2, batch_size: 4 };

/** Takes bright patches, and in later rounds those that lie below what is there. */
const inRounds: PatchPolicy = {
  ...brightPolicy,
  rounds: 3,
  async decide(low, acquired) {
    const asked = await brightPolicy.decide(low, acquired);
    const below = acquired.mask.map((_, at) => (at % 16 >= 4 ? acquired.mask[at - 4] : 0));
    return acquired.mask.includes(1) ? { ...asked, mask: below } : asked;
  },
};

let folder: string;
let bytes: Buffer;
let fetcher: Fetcher;
const removals: (() => void)[] = [];
beforeAll(async () => {
  folder = temporaryFolder((remove) => removals.push(remove));
  await writeScene(join(folder, "scene.tif"), scene, { tileSize: 48 });
  bytes = readFileSync(join(folder, "scene.tif"));
  fetcher = new Fetcher({ requests: undefined });
});
afterAll(async () => {
  await fetcher.end();
  for (const remove of removals) remove();
});

/** Answers each request after up to so many ms, by a seed. */
function late(seed: number, mostMs: number): Answer {
  const random = new Random(seed, "late");
  return async (_, response, { start, end }) => {
    await delay(random.uniform() * mostMs);
    const range = `bytes ${start}-${end - 1}/${bytes.length}`;
    response.writeHead(206, { "content-range": range, "content-length": end - start, etag: '"1"' });
    response.end(bytes.subarray(start, end));
  };
}

/** Everything that is written but times and the scene's name. */
function written(out: string, name: string): Record<string, string> {
  const untimed = ["item.json", "savings.json"];
  const files = readdirSync(out).filter((file) => !untimed.includes(file));
  const contents = files.map((file) => [file, readFileSync(join(out, file), "latin1").replaceAll(name, "SCENE")]);
  const sums = contents.map(([file, content]) => [file, createHash("sha256").update(content).digest("hex")]);
  const { cells, tiles, rounds, read, bytes, pixels } = JSON.parse(readFileSync(join(out, "savings.json"), "utf8"));
  const asked = rounds.map(({ seconds: _, ...round }: { seconds: number }) => round);
  return {
    ...Object.fromEntries(sums),
    savings: JSON.stringify({ cells, tiles, asked, by: read.by.high, bytes, pixels }),
  };
}

describe.each<[string, PatchPolicy, Partial<typeof choices> & { budget_bytes?: number }]>([
  ["a policy that decides once", brightPolicy, {}],
  ["a policy in rounds", inRounds, {}],
  ["patches that are free", brightPolicy, { free_patches: true }],
  ["patches that are free, in rounds", inRounds, { free_patches: true }],
  ["a budget", brightPolicy, { budget_bytes: 150_000 }],
  ["a scene that is read as a whole", brightPolicy, { whole_if_cheaper: true }],
])("%s", (_, policy, given) => {
  it("finds and reads the same from this disk and from servers that answer as they like", async () => {
    const found: Record<string, string>[] = [];
    const requested = new Set<string>();
    const own = temporaryFolder(onTestFinished);
    for (const [n, fetches] of [undefined, fetcher, fetcher].entries()) {
      const server = await serveFile(bytes, late(n, 12));
      const out = join(own, String(n));
      const { read } = await acquire(server.url, policy, { ...choices, ...given, out, fetcher: fetches });
      await server.close();
      expect(read.requests).toBe(server.ranges.length);
      const whole = server.ranges.map((range) => range.split("-").map(Number)).map(([from, to]) => to + 1 - from);
      expect(read.bytes).toBe(whole.reduce((sum, one) => sum + one, 0));
      requested.add(server.ranges.toSorted().join());
      found.push(written(out, server.url.replace(/\?.*/, "")));
    }
    expect(requested.size).toBe(1);
    for (const one of found) expect(one).toEqual(found[0]);
    const out = join(own, "local");
    await acquire(join(folder, "scene.tif"), policy, { ...choices, ...given, out });
    const local = written(out, join(folder, "scene.tif"));
    // The header of a server's file comes in larger parts.
    for (const file of ["predictions.jsonl", "masked.tif", "patches.geojson"]) {
      if (!("budget_bytes" in given)) expect(local[file]).toBe(found[0][file]);
    }
  });
});

it("patches of further windows are asked for before the first ones are classified", async () => {
  const server = await serveFile(bytes, late(1, 5));
  const asked: number[] = [];
  const policy: PatchPolicy = {
    ...brightPolicy,
    classify: (...given) => {
      asked.push(server.ranges.length);
      return brightPolicy.classify(...given);
    },
  };
  const out = join(temporaryFolder(onTestFinished), "out");
  const { read } = await acquire(server.url, policy, { ...choices, batch_size: 1, out });
  await server.close();
  expect(asked).toHaveLength(117);
  const begun = read.by.header.requests + read.by.low.requests;
  // Of the 13 windows of the first row, at least one request each; all but the last few are asked for by the time.
  expect(asked[0]).toBeGreaterThan(6);
  expect(asked[0]).toBeLessThan(read.requests);
  expect(begun).toBeLessThan(asked.at(-1)!);
});

it("a stop ends it while the thread waits for a server", async () => {
  const silent: Answer = () => {};
  const server = await serveFile(bytes, regular, silent);
  const own = temporaryFolder(onTestFinished);
  const due = performance.now() + 300;
  const stopping = () => (performance.now() >= due ? "SIGTERM" : undefined);
  const work = acquire(
    server.url,
    brightPolicy,
    { ...choices, out: join(own, "out"), fetcher },
    { ...silentReporter, stopping },
  );
  await expect(work).rejects.toMatchObject({ signal: "SIGTERM" });
  expect(performance.now() - due).toBeLessThan(15_000);
  expect(readdirSync(own)).toEqual([]);
  await server.close();
});

describe("the thread that fetches", () => {
  const opened = async (server: { url: string }, more: object = {}) => {
    const ledger = new Ledger();
    const ended = new AbortController();
    const options = { ledger, signal: ended.signal, pauseMs: 1, ...more };
    return { ledger, ended, file: await fetcher.group(options).open(server.url, options) };
  };

  it("brings the bytes that were asked for, and counts what it read", async () => {
    const busy: Answer = (_, response) => void response.writeHead(503).end();
    const server = await serveFile(bytes, regular, busy, regular);
    const { file, ledger, ended } = await opened(server);
    expect(file.size).toBe(bytes.length);
    expect(Buffer.compare(file.first!, bytes.subarray(0, file.first!.length))).toBe(0);
    const ranges = Array.from({ length: 20 }, (_, n) => ({ start: 20_000 + 1000 * n, end: 20_500 + 1000 * n }));
    const parts = await Promise.all(ranges.map((range) => file.fetch(range, "high")));
    for (const [n, { start, end }] of ranges.entries()) {
      expect(Buffer.compare(parts[n], bytes.subarray(start, end))).toBe(0);
    }
    expect(ledger.of("header")).toEqual({ bytes: file.first!.length, requests: 1 });
    // One was repeated.
    expect(ledger.of("high")).toEqual({ bytes: 10_000, requests: 21 });
    expect([ledger.retries, server.ranges.length]).toEqual([1, 22]);
    expect(ledger.secondsOf("high")).toBeGreaterThan(0);
    ended.abort();
    await server.close();
  });

  it("says what is wrong as if there were none", async () => {
    const changed: Answer = (_, response, { start, end }) => {
      response.writeHead(206, { "content-range": `bytes ${start}-${end - 1}/${bytes.length}`, etag: '"2"' });
      response.end(bytes.subarray(start, end));
    };
    const server = await serveFile(bytes, regular, changed);
    const { file, ended } = await opened(server);
    await expect(file.fetch({ start: 20_000, end: 20_001 }, "high")).rejects.toMatchObject({
      kind: "input",
      message: expect.stringMatching(
        /: must not change while it is read: its ETag was "1", got .*2.*; it was replaced/,
      ),
    });
    ended.abort();
    await server.close();
    await expect(opened({ url: "http://user:secret@127.0.0.1/x.tif" })).rejects.toMatchObject({ kind: "usage" });
  });

  it("reads a whole file where that is wanted, and leaves none behind", async () => {
    const whole: Answer = (_, response) => void response.writeHead(200, { etag: '"1"' }).end(bytes);
    const server = await serveFile(bytes, whole);
    const own = temporaryFolder(onTestFinished);
    const { file, ledger, ended } = await opened(server, { wholeFile: join(own, "whole") });
    const part = await file.fetch({ start: 20_000, end: 20_100 }, "high");
    expect(Buffer.compare(part, bytes.subarray(20_000, 20_100))).toBe(0);
    expect(ledger.of("whole_file").bytes).toBe(bytes.length);
    expect(readdirSync(own)).toEqual([]);
    ended.abort();
    await server.close();
  });

  it("lets go of what is under way when a scene has ended", async () => {
    const closed: Promise<void>[] = [];
    const silent: Answer = (request) => {
      closed.push(new Promise((resolve) => request.on("close", resolve)));
    };
    const server = await serveFile(bytes, regular, silent);
    const { file, ended } = await opened(server);
    for (let n = 0; n < 10; n++) {
      file.fetch({ start: 20_000 + n, end: 20_001 + n }, "high").catch(() => undefined);
    }
    while (closed.length < 6) await delay(5);
    ended.abort();
    await Promise.all(closed);
    // Six of a file at a time, and none after the end.
    await delay(50);
    expect(server.ranges).toHaveLength(7);
    await server.close();
  });
});
