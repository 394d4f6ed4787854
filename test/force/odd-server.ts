/**
 * Acquires from a server that answers some requests with 503, breaks off some bodies, and sends some byte by byte. Each time
 * the command must make what it makes from a good server, or end with one line and leave nothing of its name; and it must end:
 * within the limit, and within ten seconds of SIGTERM.
 *
 *     npx tsx test/force/odd-server.ts --count 100000 --seconds 3600 --record odd-server.jsonl
 */
import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { exitCodes } from "../../src/errors.ts";
import type { Random } from "../../src/utils/random.ts";
import { type Answer, type FileServer, regular, serveFile } from "../acquire/server.ts";
import { acquireCommand, acquired, lab, named, uncutOf } from "./lab.ts";
import { type Ended, start } from "./program.ts";
import { given, type Trial, tryAll } from "./trials.ts";

const run = given({ count: 10, seconds: 600 });
/** A command that has not ended by then hangs: each of its 49 requests may be answered too slowly for half a minute. */
const limitMs = 49 * 31_000;
const toStopMs = 10_000;

const busy: Answer = (_, response) => {
  response.writeHead(503, { "retry-after": "0" }).end();
};
const cutShort: Answer = (request, response, range) => {
  begin(response, range);
  response.write(content.subarray(range.start, Math.ceil((range.start + range.end) / 2)));
  setTimeout(() => request.socket.destroy(), 20);
};
const trickle: Answer = (_, response, range) => {
  begin(response, range);
  let at = range.start;
  const timer = setInterval(() => {
    if (at >= range.end) response.end();
    else response.write(content.subarray(at, ++at));
  }, 1000);
  response.on("close", () => clearInterval(timer));
};

function begin(response: Parameters<Answer>[1], { start, end }: { start: number; end: number }): void {
  const range = `bytes ${start}-${end - 1}/${content.length}`;
  response.writeHead(206, { "content-range": range, "content-length": end - start, etag: '"1"' });
}

const kinds = {
  "503 at times": [regular, regular, busy],
  "resets at times": [regular, regular, cutShort],
  "503 and resets": [regular, busy, cutShort],
  "always 503": [busy],
  "a byte a second at times": [regular, regular, regular, trickle],
} as const satisfies Record<string, readonly Answer[]>;
const names = Object.keys(kinds) as (keyof typeof kinds)[];

await uncutOf(named("acquire"));
const content = readFileSync(join(lab, "scene.tif"));
const good = await serveFile(content);
const first = join(lab, "from-good-server");
rmSync(first, { recursive: true, force: true });
const { code, stderr } = await start(acquireCommand(good.url)(first)).ended;
if (code !== 0) throw new Error(`from a good server: ${stderr}`);
await good.close();
const expected = acquired(first);

/** What is wrong with how it ended; undefined for nothing. */
function faultOf({ code, signal, stderr }: Ended, out: string): string | undefined {
  if (code === 0)
    return isDeepStrictEqual(acquired(out), expected) ? undefined : "other results than from a good server";
  if (existsSync(out)) return `ended with ${code}, and there are results`;
  if (signal === "SIGKILL") return `had not ended after ${limitMs} ms`;
  if (code === null || code === exitCodes.internal) return `ended with ${code ?? signal}: ${stderr}`;
  return stderr.trimEnd().split("\n").length === 1 ? undefined : `more than one line: ${stderr}`;
}

/** Sends SIGTERM some time after the first request; milliseconds until the end. */
async function stopped(
  { child, ended }: ReturnType<typeof start>,
  server: FileServer,
  random: Random,
): Promise<number> {
  while (server.ranges.length === 0 && child.exitCode === null) await delay(20);
  await delay(random.uniform() * 5000);
  const began = performance.now();
  child.kill("SIGTERM");
  const late = setTimeout(() => child.kill("SIGKILL"), toStopMs);
  await ended;
  clearTimeout(late);
  return performance.now() - began;
}

await tryAll("odd-server", run, async (index, random): Promise<Trial> => {
  // Every second time of a slow server is stopped: each would else take as long as it is given.
  const kind = names[index % names.length];
  const stops = Math.floor(index / names.length) % 2 === 0 && kind === "a byte a second at times";
  const answers: readonly Answer[] = kinds[kind];
  const server = await serveFile(
    content,
    ...Array.from({ length: 1000 }, () => answers[random.integer(answers.length)]),
  );
  const out = join(lab, `odd-${index}`);
  rmSync(out, { recursive: true, force: true });
  const running = start([...acquireCommand(server.url)(out), "--quiet"], limitMs);
  const stopMs = stops ? await stopped(running, server, random) : undefined;
  const ended = await running.ended;
  await server.close();
  const late = stopMs !== undefined && stopMs >= toStopMs ? `had not ended ${toStopMs} ms after SIGTERM` : undefined;
  const wrong = late ?? faultOf(ended, out);
  if (wrong === undefined) rmSync(out, { recursive: true, force: true });
  const what = stops ? `${kind}, SIGTERM` : kind;
  const most = { seconds: ended.ms / 1000, ...(stopMs !== undefined && { "ms to stop": stopMs }) };
  const outcome =
    wrong !== undefined ? "wrong" : ended.code === 0 ? "as from a good server" : `exit code ${ended.code}`;
  return { what, outcome, wrong, most };
});
