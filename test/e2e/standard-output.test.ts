/** Standard output that takes no more: a full disk, a limit on files, a reader that went away. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { runTimeoutMs, shellCommand, shellEnvironment } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "patchdrop-output-"));
const file = join(folder, "help.txt");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function inShell(command: string) {
  const options = { encoding: "utf8", env: shellEnvironment, timeout: runTimeoutMs } as const;
  const { status, stderr } = spawnSync("bash", ["-c", command], options);
  return { status, stderr };
}

const line = (reason: string) =>
  `error: standard output: could not be written (${reason}); free some space, or write elsewhere\n`;

it.each([["eval --help"], ["models"]])("%s on a full disk ends with a line", { timeout: runTimeoutMs }, (command) => {
  expect(inShell(`${shellCommand} ${command} > /dev/full`)).toEqual({
    status: 5,
    stderr: line("ENOSPC: no space left on device, write"),
  });
});

it("a file that takes a part of what is written is not taken for whole", { timeout: runTimeoutMs }, () => {
  // Python ignores the signal that would end the program, and what it becomes ignores it too.
  const limited =
    "import os, resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000)); os.execvp('sh', ['sh', '-c', sys.argv[1]])";
  const command = `python3 -c "${limited}" '${shellCommand} eval --help' > '${file}'`;
  expect(inShell(command)).toEqual({ status: 5, stderr: line("EFBIG: file too large, write") });
  expect(readFileSync(file)).toHaveLength(1000);
});

it("a reader that goes away ends it quietly", { timeout: runTimeoutMs }, () => {
  const ended = inShell(`${shellCommand} eval --help | true; exit \${PIPESTATUS[0]}`);
  expect(ended).toEqual({ status: 0, stderr: "" });
});

it("a file has all of it, behind what was there", { timeout: runTimeoutMs }, () => {
  expect(inShell(`echo before > '${file}'; ${shellCommand} models >> '${file}'`)).toEqual({ status: 0, stderr: "" });
  expect(readFileSync(file, "utf8")).toMatch(/^before\n[\s\S]+\n$/);
});
