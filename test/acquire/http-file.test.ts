/** Servers that do what servers do: break off, stall, come back later, answer something else. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, expect, it } from "vitest";
import { HttpFile } from "../../src/acquire/http-file.ts";
import { Ledger } from "../../src/acquire/ledger.ts";
import { RangeCache } from "../../src/acquire/range-cache.ts";
import { type Answer, type FileServer, regular, serveFile } from "./server.ts";

const content = Uint8Array.from({ length: 100_000 }, (_, n) => (n * n) >> 3);
let server: FileServer;
afterEach(() => server.close());

/** Opens the file, its pauses short. */
async function opened(...answers: Answer[]) {
  server = await serveFile(content, ...answers);
  const ledger = new Ledger();
  return { ledger, file: await HttpFile.open(server.url, { ledger, pauseMs: 1, timeoutMs: 300 }) };
}

const status =
  (code: number, headers = {}): Answer =>
  (_, response) => {
    response.writeHead(code, headers).end("sorry");
  };
/** Promises all, sends so much and closes the connection, or leaves it open and silent. */
const partly =
  (bytes: number, then: "close" | "hang"): Answer =>
  (_, response, { start, end }) => {
    response.writeHead(206, {
      ...{ "content-range": `bytes ${start}-${end - 1}/${content.length}`, "content-length": end - start, etag: '"1"' },
    });
    response.write(content.subarray(start, start + bytes), () => {
      if (then === "close") setTimeout(() => response.destroy(), 20);
    });
  };
const says =
  (headers: (range: { start: number; end: number }) => Record<string, string>, code = 206): Answer =>
  (_, response, range) => {
    response.writeHead(code, { etag: '"1"', ...headers(range) }).end(content.subarray(range.start, range.end));
  };
const whole: Answer = (_, response) => {
  response.writeHead(200, { "content-length": content.length }).end(content);
};

it("opening tells the size and brings the beginning", async () => {
  const { file, ledger } = await opened();
  expect(file.size).toBe(100_000);
  expect(file.first).toEqual(Buffer.from(content.subarray(0, 16_384)));
  expect(file.where).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/scene\.tif$/);
  const part = await file.fetch({ start: 20_000, end: 30_001 }, "high");
  expect(Buffer.compare(part, content.subarray(20_000, 30_001))).toBe(0);
  expect(server.ranges).toEqual(["0-16383", "20000-30000"]);
  expect(ledger.of("header")).toEqual({ bytes: 16_384, requests: 1 });
  expect(ledger.of("high")).toEqual({ bytes: 10_001, requests: 1 });
});

it.each<[string, Answer[], string[]]>([
  ["500, then 200", [status(500)], ["40000-49999"]],
  [
    "503 twice, to come again at once",
    [status(503, { "retry-after": "0" }), status(503)],
    ["40000-49999", "40000-49999"],
  ],
  ["a connection that breaks", [partly(3000, "close")], ["43000-49999"]],
  ["a connection that falls silent", [partly(500, "hang"), partly(0, "hang")], ["40500-49999", "40500-49999"]],
])("%s: asks again, for what is missing", async (_, answers, again) => {
  const { file, ledger } = await opened(regular, ...answers, regular);
  const part = await file.fetch({ start: 40_000, end: 50_000 }, "high");
  expect(Buffer.compare(part, content.subarray(40_000, 50_000))).toBe(0);
  expect(server.ranges).toEqual(["0-16383", "40000-49999", ...again]);
  expect(ledger.retries).toBe(answers.length);
  expect(ledger.of("high")).toEqual({ bytes: 10_000, requests: 1 + answers.length });
});

it.each([
  ["nothing", "address: must be an http or https URL, got nothing"],
  ["http://me:secret@localhost/x.tif", "address: must not contain a user name or a password"],
])("no address: %s", async (url, message) => {
  server = await serveFile(content);
  await expect(HttpFile.open(url, { ledger: new Ledger() })).rejects.toMatchObject({ kind: "usage", message });
});

it.each<[string, Answer, RegExp]>([
  [
    "no ranges",
    whole,
    /^\S+\/scene\.tif: the server must send parts of a file \(range requests\), got all of it, 100000 bytes; .*--allow_full_file$/,
  ],
  ["404", status(404), /must send the file, got HTTP 404 Not Found; check the address/],
  ["403", status(403), /got HTTP 403 Forbidden; check the address, and whether its signature has expired$/],
  ["no size", says(() => ({ "content-range": "bytes 0-16383/*" })), /say how long the file is, got bytes 0-16383\/\*/],
  ["a hostile size", says(() => ({ "content-range": "bytes 0-16383/99999999999999999999" })), /say how long/],
  ["no Content-Range", says(() => ({})), /must send the first bytes .*, got nothing/],
  ["compression", says(() => ({ "content-encoding": "br" })), /must be sent uncompressed, got br/],
])("opening refuses at once: %s", async (_, answer, message) => {
  const failure = opened(answer);
  await expect(failure).rejects.toMatchObject({ kind: "input", message: expect.stringMatching(message) });
  await expect(failure).rejects.not.toMatchObject({ message: expect.stringContaining("secret") });
  expect(server.ranges).toHaveLength(1);
});

it.each<[string, Answer, RegExp]>([
  [
    "another range",
    says(({ end }) => ({ "content-range": `bytes 0-${end}/100000` })),
    /must send bytes 500-599\/100000, got/,
  ],
  ["another size", says(() => ({ "content-range": "bytes 500-599/100001" })), /got bytes 500-599\/100001/],
  ["the whole file", whole, /must send bytes 500-599\/100000, got HTTP 200/],
  [
    "another version",
    says(({ start, end }) => ({ "content-range": `bytes ${start}-${end - 1}/100000`, etag: '"2"' })),
    /must not change while it is read: its ETag was "1", got \S*2/,
  ],
  [
    "too much",
    (_, response) => {
      response.writeHead(206, { "content-range": "bytes 500-599/100000", etag: '"1"' }).end(content.subarray(500, 700));
    },
    /must send 100 bytes/,
  ],
])("a range is refused that is not what was asked for: %s", async (_, answer, message) => {
  const { file } = await opened(regular, answer);
  const failure = file.fetch({ start: 500, end: 600 }, "low");
  await expect(failure).rejects.toMatchObject({ kind: "input", message: expect.stringMatching(message) });
});

it("gives up after four requests that brought nothing", async () => {
  const { file, ledger } = await opened(regular, status(502));
  await expect(file.fetch({ start: 500, end: 600 }, "low")).rejects.toMatchObject({
    kind: "system",
    message: expect.stringMatching(
      /must send what is asked for \(low\), 4 requests brought nothing, got HTTP 502 Bad Gateway/,
    ),
  });
  expect(ledger.of("low")).toEqual({ bytes: 0, requests: 4 });
});

it("a whole file is taken where that is allowed, counted, and gone afterwards", async () => {
  server = await serveFile(content, whole);
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-whole-"));
  const ledger = new Ledger();
  const wholeFile = join(folder, "whole");
  const file = await HttpFile.open(server.url, { ledger, wholeFile });
  const part = await file.fetch({ start: 99_000, end: 100_000 }, "high");
  expect(Buffer.compare(part, content.subarray(99_000))).toBe(0);
  await file.close();
  expect(existsSync(wholeFile)).toBe(false);
  expect([file.size, ledger.total.bytes, ledger.of("whole_file").bytes, ledger.of("high").bytes]).toEqual([
    ...[100_000, 100_000, 100_000, 0],
  ]);
  rmSync(folder, { recursive: true });
});

it("the cache fetches each byte once, neighbours together, and gives right bytes whatever it had to let go", async () => {
  const { file, ledger } = await opened();
  const cache = new RangeCache(file);
  const range = (start: number, end: number) => ({ start, end });
  await cache.prefetch([range(16_000, 20_000), range(21_000, 22_000), range(40_000, 41_000)], "high");
  // The first 384 bytes came with opening; 1,000 bytes between two ranges cost less than a request.
  expect(server.ranges.slice(1).sort()).toEqual(["16384-21999", "40000-40999"]);
  const bytes = await cache.read(range(16_000, 22_000), "high");
  expect(Buffer.compare(bytes, content.subarray(16_000, 22_000))).toBe(0);
  expect(server.ranges).toHaveLength(3);
  expect(ledger.of("high").bytes).toBe(5616 + 1000);

  const small = new RangeCache(file, 3000);
  for (const [start, end] of [
    [50_000, 52_000],
    [52_000, 54_000],
    [51_000, 53_000],
    [50_000, 54_000],
    [10, 20],
  ]) {
    const part = await small.read(range(start, end), "low");
    expect(Buffer.compare(part, content.subarray(start, end))).toBe(0);
  }
});
