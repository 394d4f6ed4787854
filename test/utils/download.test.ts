import { createHash } from "node:crypto";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { type DownloadProgress, downloadFile } from "../../src/utils/download.ts";

const content = Buffer.from(Array.from({ length: 100_000 }, (_, n) => (n * n) & 255));
const sha256 = createHash("sha256").update(content).digest("hex");
const md5 = createHash("md5").update(content).digest("hex");

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

let folder = "";
let server: Server;
let requests: (string | undefined)[] = [];
/** Bytes that the download has written so far, as it reports them. */
let received = 0;
const onProgress = (progress: DownloadProgress): void => {
  received = progress.received;
};

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "patchdrop-download-"));
  requests = [];
  received = 0;
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  await rm(folder, { recursive: true, force: true });
});

/** Starts a server whose n-th request gets the n-th answer (the last one for all that follow). */
async function serve(...answers: Answer[]): Promise<string> {
  server = createServer((request, response) => {
    requests.push(request.headers.range);
    answers[Math.min(requests.length, answers.length) - 1](request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
}

/** Sends what was asked for, ranges included. */
const whole: Answer = (request, response) => {
  const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
  if (start >= content.length) {
    response.writeHead(416, { "content-range": `bytes */${content.length}` }).end();
    return;
  }
  const range = { "content-range": `bytes ${start}-${content.length - 1}/${content.length}` };
  response.writeHead(start > 0 ? 206 : 200, { "content-length": content.length - start, ...(start > 0 ? range : {}) });
  response.end(content.subarray(start));
};

/** Breaks the connection after so many bytes of what was asked for, once they have arrived. */
const cutAfter =
  (bytes: number): Answer =>
  (request, response) => {
    const start = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? "")?.[1] ?? 0);
    response.writeHead(start > 0 ? 206 : 200, {
      "content-length": content.length - start,
      "content-range": `bytes ${start}-${content.length - 1}/${content.length}`,
    });
    response.write(content.subarray(start, start + bytes));
    const cut = setInterval(() => {
      if (received < start + bytes) return;
      clearInterval(cut);
      response.destroy();
    }, 2);
  };

/** Knows no ranges. */
const always200: Answer = (_, response) => {
  response.writeHead(200, { "content-length": content.length }).end(content);
};

const target = (): string => join(folder, "deep", "file.bin");

async function failure(download: Promise<void>): Promise<{ message: string; exitCode: number }> {
  return download.then(
    () => Promise.reject(new Error("it was downloaded")),
    (error: { message: string; exitCode: number }) => error,
  );
}

describe("downloadFile", () => {
  it("fetches a file, checks it and leaves nothing else", async () => {
    const progress: DownloadProgress[] = [];
    const url = await serve(whole);
    await downloadFile({
      url,
      path: target(),
      sha256,
      md5: md5.toUpperCase(),
      size: content.length,
      onProgress: (state) => void progress.push(state),
    });
    expect((await readFile(target())).equals(content)).toBe(true);
    expect(await readdir(join(folder, "deep"))).toEqual(["file.bin"]);
    expect(progress.at(-1)).toEqual({ received: content.length, total: content.length });
  });

  it("asks for nothing when the file is there and right, and replaces one that is wrong", async () => {
    const url = await serve(whole);
    await writeFile(join(folder, "file.bin"), content);
    await downloadFile({ url, path: join(folder, "file.bin"), sha256 });
    expect(requests).toEqual([]);
    await writeFile(join(folder, "file.bin"), "something else");
    await downloadFile({ url, path: join(folder, "file.bin"), sha256 });
    expect((await readFile(join(folder, "file.bin"))).equals(content)).toBe(true);
  });

  it("goes on where the connection broke", async () => {
    const url = await serve(cutAfter(30_000), cutAfter(20_000), whole);
    await downloadFile({ url, path: target(), sha256, onProgress });
    expect(requests).toEqual([undefined, "bytes=30000-", "bytes=50000-"]);
    expect((await readFile(target())).equals(content)).toBe(true);
  });

  it("goes on with what an earlier run left", async () => {
    const url = await serve(whole);
    await writeFile(join(folder, "file.bin.part"), content.subarray(0, 77));
    await downloadFile({ url, path: join(folder, "file.bin"), md5 });
    expect(requests).toEqual(["bytes=77-"]);
  });

  it("needs no byte more when an earlier run had fetched them all", async () => {
    const url = await serve(whole);
    await writeFile(join(folder, "file.bin.part"), content);
    await downloadFile({ url, path: join(folder, "file.bin"), md5 });
    expect((await readFile(join(folder, "file.bin"))).equals(content)).toBe(true);
  });

  it("starts over when the server knows no ranges", async () => {
    const url = await serve(cutAfter(30_000), always200);
    await downloadFile({ url, path: target(), sha256, onProgress });
    expect((await readFile(target())).equals(content)).toBe(true);
  });

  it("starts over when the server has another file than the one that was begun", async () => {
    const [older, newer] = [Buffer.alloc(content.length, 1), content];
    /** As servers do that know If-Range: the rest of the file if it is the same one still, else all of it. */
    const replaced: Answer = (request, response) => {
      asked.push(request.headers["if-range"]);
      if (asked.length === 1) {
        response.writeHead(200, { "content-length": older.length, etag: '"1"' }).write(older.subarray(0, 30_000));
        const cut = setInterval(() => {
          if (received < 30_000) return;
          clearInterval(cut);
          response.destroy();
        }, 2);
      } else {
        response.writeHead(200, { "content-length": newer.length, etag: '"2"' }).end(newer);
      }
    };
    const asked: unknown[] = [];
    const url = await serve(replaced);
    await downloadFile({ url, path: target(), onProgress });
    expect([requests, asked]).toEqual([
      [undefined, "bytes=30000-"],
      [undefined, '"1"'],
    ]);
    expect((await readFile(target())).equals(newer)).toBe(true);
  });

  it("starts over when a server that ignores If-Range goes on with another file", async () => {
    const version = (tag: string, answer: Answer): Answer => {
      return (request, response) => answer(request, response.setHeader("etag", tag));
    };
    const url = await serve(version('"1"', cutAfter(30_000)), version('"2"', whole));
    await downloadFile({ url, path: target(), onProgress });
    expect(requests).toEqual([undefined, "bytes=30000-", undefined]);
    expect((await readFile(target())).equals(content)).toBe(true);
  });

  it("asks without If-Range where the tag may stand for other bytes", async () => {
    const tags: unknown[] = [];
    const weak = (answer: Answer): Answer => {
      return (request, response) => {
        tags.push(request.headers["if-range"]);
        answer(request, response.setHeader("etag", 'W/"1"'));
      };
    };
    const url = await serve(weak(cutAfter(30_000)), weak(whole));
    await downloadFile({ url, path: target(), sha256, onProgress });
    expect(tags).toEqual([undefined, undefined]);
  });

  it("asks a server again that is busy for a while", async () => {
    const busy: Answer = (_, response) => void response.writeHead(503, { "retry-after": "0" }).end();
    const url = await serve(busy, busy, whole);
    await downloadFile({ url, path: target(), sha256 });
    expect(requests).toEqual([undefined, undefined, undefined]);
  });

  it("refuses what was compressed on its way", async () => {
    const url = await serve((_, response) => void response.writeHead(200, { "content-encoding": "br" }).end("x"));
    const error = await failure(downloadFile({ url, path: target() }));
    expect(error.message).toBe(`${url}: must be sent uncompressed, got br; this server violates HTTP: use another`);
    expect(error.exitCode).toBe(3);
  });

  it("starts over once when what lay there was another file's beginning", async () => {
    const url = await serve(whole);
    await writeFile(join(folder, "file.bin.part"), "rubbish");
    await downloadFile({ url, path: join(folder, "file.bin"), sha256 });
    expect(requests).toEqual(["bytes=7-", undefined]);
    expect((await readFile(join(folder, "file.bin"))).equals(content)).toBe(true);
  });

  it("keeps what came when the server no longer answers, and says how to go on", async () => {
    const url = await serve(cutAfter(30_000), (request) => request.socket.destroy());
    const error = await failure(downloadFile({ url, path: target(), sha256, onProgress }));
    expect(error.message).toContain(`${url}: must be downloaded completely, got `);
    expect(error.message).toContain("; run the command again to continue after 30000 bytes");
    expect(error.exitCode).toBe(5);
    expect((await readFile(`${target()}.part`)).equals(content.subarray(0, 30_000))).toBe(true);
    expect(requests.length).toBe(4); // three in vain
  });

  describe("of which no checksum is known", () => {
    const day = (n: number) => `Mon, 0${n} Nov 2026 10:00:00 GMT`;
    const dated = (date: string, answer: Answer): Answer => {
      return (request, response) => answer(request, response.setHeader("last-modified", date));
    };
    const silent: Answer = (request) => request.socket.destroy();

    it("starts over when the date says that the server has another file", async () => {
      const url = await serve(dated(day(2), cutAfter(30_000)), dated(day(3), whole));
      await downloadFile({ url, path: target(), onProgress });
      expect(requests).toEqual([undefined, "bytes=30000-", undefined]);
      expect((await readFile(target())).equals(content)).toBe(true);
    });

    it("goes on in the next run where it is the same file", async () => {
      const url = await serve(dated(day(2), cutAfter(30_000)), silent, silent, silent, dated(day(2), whole));
      const error = await failure(downloadFile({ url, path: target(), onProgress }));
      expect(error.message).toContain("; run the command again to continue after 30000 bytes");
      await downloadFile({ url, path: target() });
      expect(requests.slice(4)).toEqual(["bytes=30000-"]);
      expect((await readFile(target())).equals(content)).toBe(true);
      expect(await readdir(join(folder, "deep"))).toEqual(["file.bin"]);
    });

    it("starts over in the next run where it is another file", async () => {
      const url = await serve(dated(day(2), cutAfter(30_000)), silent, silent, silent, dated(day(3), whole));
      await failure(downloadFile({ url, path: target(), onProgress }));
      await downloadFile({ url, path: target() });
      expect(requests.slice(4)).toEqual(["bytes=30000-", undefined]);
      expect((await readFile(target())).equals(content)).toBe(true);
    });

    it("starts over in the next run where nothing tells which file it was", async () => {
      const url = await serve(cutAfter(30_000), silent, silent, silent, whole);
      const error = await failure(downloadFile({ url, path: target(), onProgress }));
      expect(error.message).toContain("; check the network and the address");
      await downloadFile({ url, path: target() });
      expect(requests.slice(4)).toEqual([undefined]);
    });
  });

  it("gives up on a server that is too slow, whatever it brings", async () => {
    const url = await serve((_, response) => {
      response.writeHead(200, { "content-length": 1e6 });
      const timer = setInterval(() => response.write("x"), 5);
      response.on("close", () => clearInterval(timer));
    });
    const pace = { bytesPerSecond: 10_000, windowMs: 50, patienceMs: 200 };
    const error = await failure(downloadFile({ url, path: target(), pace }));
    expect(error.message).toMatch(
      /must be downloaded completely, and not so slowly, got only \d+ bytes came in 50 ms; /,
    );
    expect(error.exitCode).toBe(5);
  });

  it("gives up on a server that falls silent", async () => {
    const url = await serve((_, response) => void response.writeHead(200).write("x"));
    const error = await failure(downloadFile({ url, path: target(), timeoutMs: 50 }));
    expect(error.message).toContain("nothing came for 50 ms");
    expect(error.exitCode).toBe(5);
  });

  it("refuses another checksum, keeps nothing, and leaves what was there before", async () => {
    const url = await serve(whole);
    await writeFile(join(folder, "file.bin"), "the old one");
    const wrong = "0".repeat(64);
    const error = await failure(downloadFile({ url, path: join(folder, "file.bin"), sha256: wrong }));
    expect(error.message).toBe(
      `${url}: must have the sha256 checksum ${wrong}, got ${sha256}; nothing was kept; try again or give another address`,
    );
    expect(error.exitCode).toBe(3);
    expect(await readdir(folder)).toEqual(["file.bin"]);
    expect(await readFile(join(folder, "file.bin"), "utf8")).toBe("the old one");
  });

  it("refuses a file of another size before it is fetched", async () => {
    const url = await serve(whole);
    const error = await failure(downloadFile({ url, path: target(), size: 5 }));
    expect(error.message).toBe(`${url}: must have 5 bytes, got 100000; give the address of the right file`);
    expect(error.exitCode).toBe(3);
  });

  it("refuses a range that is not the one asked for", async () => {
    const url = await serve((_, response) => {
      response.writeHead(206, { "content-range": "bytes 5-9/10" }).end("56789");
    });
    await writeFile(join(folder, "file.bin.part"), "abc");
    const error = await failure(downloadFile({ url, path: join(folder, "file.bin"), sha256 }));
    expect(error.message).toBe(`${url}: must continue at byte 3, got bytes 5-9/10`);
  });

  it("names the server's refusal", async () => {
    const url = await serve((_, response) => void response.writeHead(404).end());
    const error = await failure(downloadFile({ url, path: target() }));
    expect(error.message).toBe(
      `${url}: the server must send the file, got HTTP 404 Not Found; check the address, or give another one`,
    );
    expect(error.exitCode).toBe(3);
  });

  it("refuses what is no address, as a usage error", async () => {
    await serve(whole);
    const error = await failure(downloadFile({ url: "not an address", path: target() }));
    expect(error.message).toBe("address: must be an http or https URL, got not an address");
    expect(error.exitCode).toBe(2);
    const secret = await failure(downloadFile({ url: "http://me:secret@localhost/x", path: target() }));
    expect(secret.message).toBe("address: must not contain a user name or a password");
  });

  it("names the folder that can't be written to", async () => {
    const url = await serve(whole);
    await writeFile(join(folder, "file"), "");
    const error = await failure(downloadFile({ url, path: join(folder, "file", "inside") }));
    expect(error.message).toContain(`${join(folder, "file", "inside")}: must be writable`);
    expect(error.exitCode).toBe(5);
  });
});
