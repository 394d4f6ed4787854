/**
 * Serves the files of a folder, in parts where that is asked for, each answer after a while: `node slow-server.mjs FOLDER MILLISECONDS`.
 * It prints its port, and then the part that each request asked for.
 */
import { open } from "node:fs/promises";
import { createServer } from "node:http";
import path from "node:path";
import process from "node:process";
import { setTimeout as delay } from "node:timers/promises";

const [folder, milliseconds] = process.argv.slice(2);
const server = createServer(async ({ url, headers }, response) => {
  const [, first, last] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  process.stdout.write(`${first ?? ""}-${last ?? ""}\n`);
  await delay(Number(milliseconds));
  const file = await open(path.join(folder, path.normalize(new URL(url, "http://localhost").pathname)));
  try {
    const { size } = await file.stat();
    const start = Number(first ?? 0);
    const end = Math.min(size, last === undefined || last === "" ? size : Number(last) + 1);
    const { buffer } = await file.read(Buffer.alloc(end - start), 0, end - start, start);
    const said = { etag: '"1"', "content-length": end - start };
    if (first === undefined) response.writeHead(200, said);
    else response.writeHead(206, { ...said, "content-range": `bytes ${start}-${end - 1}/${size}` });
    response.end(buffer);
  } finally {
    await file.close();
  }
});
server.listen(0, "127.0.0.1", () => process.stdout.write(`${server.address().port}\n`));
