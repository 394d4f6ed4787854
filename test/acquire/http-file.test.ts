/** Servers that do what servers do: break off, stall, come back later, answer something else. */
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { HttpFile } from "../../src/acquire/http-file.ts";
import { Ledger } from "../../src/acquire/ledger.ts";
import { RangeCache } from "../../src/acquire/range-cache.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type Answer, type FileServer, regular, serveFile } from "./server.ts";

const content = Uint8Array.from({ length: 100_000 }, (_, n) => (n * n) >> 3);
let server: FileServer;
afterEach(() => server.close());

/** Opens the file, its pauses short. */
async function opened(...answers: Answer[]) {
  server = await serveFile(content, ...answers);
  const ledger = new Ledger();
  return { ledger, file: await HttpFile.open(server.url, { ledger, pauseMs: 1, timeoutMs: 3000 }) };
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

// Node loads what fetch is made of with its first call, on a busy machine for longer than these tests wait for a server.
beforeAll(async () => void (await fetch("data:,")));

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
  [
    "another size",
    says(() => ({ "content-range": "bytes 500-599/100001" })),
    /must not change while it is read: its length was 100000, got 100001; it was replaced: run the command again$/,
  ],
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
  await cache.prefetch([range(16_000, 20_000), range(21_000, 22_000), range(40_000, 41_000)], "high").arrived;
  // The first 384 bytes came with opening; 1,000 bytes between two ranges cost less than a request.
  expect(server.ranges.slice(1).sort()).toEqual(["16384-21999", "40000-40999"]);
  const bytes = await cache.read(range(16_000, 22_000), "high");
  expect(Buffer.compare(bytes, content.subarray(16_000, 22_000))).toBe(0);
  expect(server.ranges).toHaveLength(3);
  expect(ledger.of("high").bytes).toBe(5616 + 1000);

  const small = new RangeCache(file, { limit: 3000 });
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

describe("a file that is replaced while it is read", () => {
  const day = (n: number) => `Mon, 0${n} Nov 2026 10:00:00 GMT`;
  /** A file of this version, whose server says so by these headers alone. */
  const version =
    (headers: Record<string, string>, size = content.length): Answer =>
    (_, response, { start, end }) => {
      const range = { "content-range": `bytes ${start}-${end - 1}/${size}`, "content-length": `${end - start}` };
      response.writeHead(206, { ...range, ...headers }).end(content.subarray(start, end));
    };

  it.each<[string, Answer, Answer, string]>([
    [
      "by its date",
      version({ "last-modified": day(2) }),
      version({ "last-modified": day(3) }),
      `its Last-Modified was ${day(2)}, got ${day(3)}`,
    ],
    [
      "by its length",
      version({ "last-modified": day(2) }),
      version({ "last-modified": day(2) }, 99_999),
      "its length was 100000, got 99999",
    ],
    [
      "by its ETag",
      version({ etag: '"1"', "last-modified": day(2) }),
      version({ etag: '"2"', "last-modified": day(2) }),
      String.raw`its ETag was "1", got \"2\"`,
    ],
    [
      "by being shorter than what is asked for",
      version({ "last-modified": day(2) }),
      (_, response) => void response.writeHead(416, { "content-range": "bytes */400" }).end(),
      "its length was 100000, got 400",
    ],
  ])("is refused: %s", async (_, first, then, said) => {
    const { file } = await opened(first, then);
    await expect(file.fetch({ start: 500, end: 600 }, "low")).rejects.toMatchObject({
      kind: "input",
      message: `${file.where}: must not change while it is read: ${said}; it was replaced: run the command again`,
    });
  });

  it("is read on where it is the same, also without an ETag", async () => {
    const { file } = await opened(version({ "last-modified": day(2) }));
    const part = await file.fetch({ start: 500, end: 600 }, "low");
    expect(Buffer.compare(part, content.subarray(500, 600))).toBe(0);
  });

  it("would not be noticed with neither: refused, or read in one answer", async () => {
    const anonymous = version({});
    await expect(opened(anonymous)).rejects.toMatchObject({
      kind: "input",
      message: expect.stringMatching(
        /must say which version of a file it sends \(ETag or Last-Modified\), .*, got neither; .*--allow_full_file$/,
      ),
    });
    await server.close();
    server = await serveFile(content, anonymous, whole);
    const folder = temporaryFolder(onTestFinished);
    const options = { ledger: new Ledger(), wholeFile: join(folder, "whole"), pauseMs: 1 };
    const file = await HttpFile.open(server.url, options);
    expect(server.ranges).toEqual(["0-16383", "whole"]);
    const part = await file.fetch({ start: 99_000, end: 100_000 }, "high");
    expect(Buffer.compare(part, content.subarray(99_000))).toBe(0);
    await file.close();
  });
});

describe("a server that is too slow", () => {
  const pace = { bytesPerSecond: 100_000, windowMs: 50, patienceMs: 150 };
  /** Promises all, and sends a byte every 5 ms. */
  const drip: Answer = (_, response, { start, end }) => {
    const range = `bytes ${start}-${end - 1}/${content.length}`;
    response.writeHead(206, { "content-range": range, "content-length": end - start, etag: '"1"' });
    let at = start;
    const timer = setInterval(() => response.write(content.subarray(at, ++at)), 5);
    response.on("close", () => clearInterval(timer));
  };

  it("is asked again for the rest, which counts as a retry", async () => {
    server = await serveFile(content, regular, drip, regular);
    const ledger = new Ledger();
    const file = await HttpFile.open(server.url, { ledger, pauseMs: 1, pace });
    const part = await file.fetch({ start: 40_000, end: 50_000 }, "high");
    expect(Buffer.compare(part, content.subarray(40_000, 50_000))).toBe(0);
    expect(ledger.retries).toBe(1);
    expect(Number(server.ranges[2].split("-")[0])).toBeGreaterThan(40_000);
  });

  it("is given up", async () => {
    server = await serveFile(content, regular, drip);
    const file = await HttpFile.open(server.url, { ledger: new Ledger(), pauseMs: 1, pace });
    await expect(file.fetch({ start: 40_000, end: 50_000 }, "high")).rejects.toMatchObject({
      kind: "system",
      message: expect.stringMatching(
        /must send what is asked for \(high\), 100000 bytes a second or more, got only \d+ bytes came in 50 ms; check the network/,
      ),
    });
  });
});

it.each<[string, Answer]>([
  ["as the server says", whole],
  [
    "as it comes",
    (_, response) => {
      response.writeHead(200, { "transfer-encoding": "chunked" }).end(content);
    },
  ],
])("a whole file that is too large is refused, %s", async (_, answer) => {
  server = await serveFile(content, answer);
  const folder = temporaryFolder(onTestFinished);
  const options = { ledger: new Ledger(), wholeFile: join(folder, "whole"), mostBytes: 99_999, pauseMs: 1 };
  await expect(HttpFile.open(server.url, options)).rejects.toMatchObject({
    kind: "resource",
    message: expect.stringMatching(
      /the whole file must have at most 99999 bytes, got 100000 or more; raise --max_file_bytes$/,
    ),
  });
  await expect(HttpFile.open(server.url, { ...options, mostBytes: 100_000 })).resolves.toMatchObject({ size: 100_000 });
});
