/** A terminal that is closed while a training draws its bar on it, as when a connection to a server breaks. */
import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { runTimeoutMs, shellCommand, shellEnvironment } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "patchdrop-terminal-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Node cannot open a terminal, and Python can: runs a command on one, closes it when the bar is there, and prints how it ended. */
const onTerminal = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execvp("sh", ["sh", "-c", "exec " + sys.argv[1]])
seen = b""
while b"epoch 1/" not in seen:
    seen += os.read(terminal, 65536)
os.close(terminal)
print(os.waitpid(pid, 0)[1])
`;

it(
  "ends a training by SIGHUP, after it has saved",
  () => {
    const run = join(folder, "run");
    const flags = "--dataset synthetic --model R8_Scenes --threads 1 --max_epochs 100 --batch_size 16";
    const command = `${shellCommand} classifier_training ${flags} --cv_dir '${run}'`;
    const { stdout, stderr } = spawnSync("python3", ["-c", onTerminal, command], {
      encoding: "utf8",
      env: { ...shellEnvironment, TERM: "xterm" },
      timeout: runTimeoutMs,
    });
    // The status of a process that signal 1 ended.
    expect({ stdout, stderr }).toEqual({ stdout: "1\n", stderr: "" });
    expect(existsSync(join(run, "last", "state.json"))).toBe(true);
  },
  runTimeoutMs,
);
