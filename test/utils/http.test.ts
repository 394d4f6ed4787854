/** What is put up with: versions of a file that tell it has changed, and servers that are too slow. */
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterEach, describe, expect, it } from "vitest";
import { fault } from "../../src/errors.ts";
import { ask, changeOf, type FileVersion, persist, versionOf } from "../../src/utils/http.ts";

const before: FileVersion = { etag: '"1"', lastModified: "Mon, 02 Nov 2026 10:00:00 GMT", size: 100 };
const later = "Tue, 03 Nov 2026 10:00:00 GMT";

describe("changeOf", () => {
  it.each<[string, FileVersion, FileVersion, object | undefined]>([
    ["the same", before, before, undefined],
    ["another ETag", before, { ...before, etag: '"2"' }, { was: 'its ETag was "1"', got: '"2"' }],
    ["an ETag that is gone", before, { ...before, etag: null }, { was: 'its ETag was "1"', got: "nothing" }],
    ["another length", before, { ...before, size: 99 }, { was: "its length was 100", got: "99" }],
    ["no length", before, { ...before, size: null }, undefined],
    [
      "a copy made later, of which a strong ETag says that it is the same",
      before,
      { ...before, lastModified: later },
      undefined,
    ],
    [
      "another date, without an ETag",
      { ...before, etag: null },
      { ...before, etag: null, lastModified: later },
      { was: `its Last-Modified was ${before.lastModified}`, got: later },
    ],
    [
      "another date, with a weak ETag",
      { ...before, etag: 'W/"1"' },
      { ...before, etag: 'W/"1"', lastModified: later },
      { was: `its Last-Modified was ${before.lastModified}`, got: later },
    ],
    [
      "nothing that tells",
      { etag: null, lastModified: null, size: 100 },
      { etag: null, lastModified: null, size: 100 },
      undefined,
    ],
  ])("%s", (_, one, other, change) => {
    expect(changeOf(one, other)).toEqual(change);
  });
});

it("reads the length of the whole file, not that of a part", () => {
  const headers = { "content-range": "bytes 0-9/4000", "content-length": "10", etag: '"e"' };
  expect(versionOf(new Response("x", { status: 206, headers }))).toEqual({
    etag: '"e"',
    lastModified: null,
    size: 4000,
  });
  expect(versionOf(new Response("x", { status: 200, headers: { "content-length": "12" } })).size).toBe(12);
  expect(versionOf(new Response("x", { status: 206, headers: { "content-range": "bytes 0-9/*" } })).size).toBeNull();
});

let server: Server | undefined;
afterEach(async () => {
  server?.closeAllConnections();
  await new Promise((resolve) => (server === undefined ? resolve(undefined) : server.close(resolve)));
  server = undefined;
});

/** Sends a byte every so many ms, up to `bytes`, and then breaks off or ends. @returns its address */
async function drip(everyMs: number, bytes: number, end: "end" | "break"): Promise<string> {
  server = createServer((_, response) => {
    response.writeHead(200, { "content-length": bytes + (end === "break" ? 1 : 0) });
    let sent = 0;
    const timer = setInterval(() => {
      response.write("x");
      if (++sent < bytes) return;
      clearInterval(timer);
      if (end === "end") response.end();
      else setTimeout(() => response.destroy(), 5);
    }, everyMs);
    response.on("close", () => clearInterval(timer));
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server!.address() as AddressInfo).port}/`;
}

/** Bytes that have come, over all connections, and what came of it. */
async function fetched(url: string, pace: { bytesPerSecond: number; windowMs: number; patienceMs: number }) {
  const came = { bytes: 0, requests: 0 };
  const asked = { url, where: "x", start: 0, timeoutMs: 2000, pace, next: "" };
  const work = () => {
    came.requests++;
    return ask(asked, async ({ chunks }) => {
      for await (const chunk of chunks(undefined)) came.bytes += chunk.length;
    });
  };
  const error = await persist(work, {
    received: () => came.bytes,
    vainRequests: 3,
    pauseMs: 1,
    pace,
    gaveUp: ({ message }, why) => fault("system", { where: "x", rule: why, got: message }),
  }).catch((thrown) => thrown);
  return { ...came, error };
}

describe("a byte now and then", () => {
  it("is not waited for for ever: the connection is cut, others are tried, then it is given up", async () => {
    // 100 bytes a second, where 1,000 are the least.
    const url = await drip(10, 1e6, "end");
    const { bytes, requests, error } = await fetched(url, { bytesPerSecond: 1000, windowMs: 100, patienceMs: 4000 });
    expect(error).toMatchObject({
      kind: "system",
      message: expect.stringMatching(/^x: too slow, got only \d+ bytes came in 100 ms$/),
    });
    expect(bytes).toBeGreaterThan(0);
    expect(bytes).toBeLessThan(1000);
    expect(requests).toBeGreaterThan(1);
  });

  it("is given up also where each connection brings a byte and breaks", async () => {
    const url = await drip(5, 1, "break");
    const { error, requests } = await fetched(url, { bytesPerSecond: 1e6, windowMs: 10_000, patienceMs: 3000 });
    expect(error).toMatchObject({ message: expect.stringMatching(/^x: too slow/) });
    expect(requests).toBeGreaterThan(1);
  });

  it("is fine where that is all there is, or where it comes fast enough", async () => {
    const url = await drip(50, 12, "end");
    expect(await fetched(url, { bytesPerSecond: 4, windowMs: 300, patienceMs: 300 })).toEqual({
      bytes: 12,
      requests: 1,
      error: undefined,
    });
  });
});
