/** Serves the files of a folder, in parts where that is asked for, each answer after a while: `node slow-server.mjs FOLDER MILLISECONDS`. */
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import path from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

const [folder, milliseconds] = process.argv.slice(2);
const server = createServer(async ({ url, headers }, response) => {
  await delay(Number(milliseconds));
  const bytes = readFileSync(path.join(folder, path.normalize(new URL(url, "http://localhost").pathname)));
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  if (first === undefined) return response.writeHead(200, { etag: '"1"', "content-length": bytes.length }).end(bytes);
  const end = Math.min(bytes.length, last === "" ? bytes.length : Number(last) + 1);
  const range = `bytes ${first}-${end - 1}/${bytes.length}`;
  const length = end - Number(first);
  return response
    .writeHead(206, { etag: '"1"', "content-range": range, "content-length": length })
    .end(bytes.subarray(Number(first), end));
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
