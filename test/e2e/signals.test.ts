/** Commands that wait, for other programs, for paths or for pictures, end at a signal, and so does what they had started. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { constants, tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, it } from "vitest";
import { runTimeoutMs, shellCode, start, until } from "./program.ts";

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-signals-"));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it("a SIGUSR1 before the program's first line, which opens Node's debugger, ends it, and that is closed", async () => {
  const hook = join(folder, "signalled.mjs");
  writeFileSync(
    hook,
    `import inspector from "node:inspector";
import { setTimeout } from "node:timers/promises";
process.kill(process.pid, "SIGUSR1");
while (inspector.url() === undefined) await setTimeout(5);
`,
  );
  const ended = await start(["models"], { NODE_OPTIONS: `--import ${hook}` }).ended;
  expect(shellCode(ended)).toBe(128 + constants.signals.SIGUSR1);
  expect(ended.stdout).toBe("");
});

it.each(["SIGTERM", "SIGHUP", "SIGUSR1"] as const)(
  "setup ends at %s while pip works, and pip with it; the next setup clears what was begun",
  async (signal) => {
    const python = join(folder, "venv", "bin", "python3");
    mkdirSync(join(folder, "venv", "bin"), { recursive: true });
    const pip = `#!/bin/sh
if [ "$1" = -c ]; then echo; exit; fi
if [ "$3" = --version ]; then echo "pip 24.2 from /somewhere (python 3.12)"; exit; fi
if [ -e '${folder}/failing' ]; then exit 1; fi
echo $$ > '${folder}/pid.new'; mv '${folder}/pid.new' '${folder}/pid'
exec sleep 1000
`;
    writeFileSync(python, pip);
    chmodSync(python, 0o755);
    const cache = join(folder, "cache");
    const env = { VIRTUAL_ENV: join(folder, "venv"), PATCHDROP_CACHE: cache, PATH: "/usr/bin:/bin" };
    const { child, ended } = start(["setup", "--from", "pip"], env);
    await until(() => existsSync(join(folder, "pid")));
    const pid = Number(readFileSync(join(folder, "pid"), "utf8"));
    expect(isAlive(pid)).toBe(true);
    const began = performance.now();
    child.kill(signal);
    expect(shellCode(await ended)).toBe(128 + constants.signals[signal]);
    expect(performance.now() - began).toBeLessThan(15_000);
    await until(() => !isAlive(pid), 15_000);
    const left = () => readdirSync(join(cache, "libtorch")).filter((name) => name.startsWith(".temporary-"));
    expect(left()).toHaveLength(1);
    writeFileSync(join(folder, "failing"), "");
    await start(["setup", "--from", "pip"], env).ended;
    expect(left()).toEqual([]);
  },
  runTimeoutMs,
);
