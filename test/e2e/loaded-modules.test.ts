/** What help and completion must not wait for: modules that only a command's work needs. */
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll, expect, it } from "vitest";
import { packageFolder, patchdrop, runTimeoutMs } from "./program.ts";

const folder = mkdtempSync(join(tmpdir(), "patchdrop-loaded-"));
afterAll(() => rmSync(folder, { recursive: true }));
const hook = fileURLToPath(new URL("module-log.mjs", import.meta.url));

/** The packages and the folders of the program that a command line loads. */
async function loaded(words: readonly string[]): Promise<Set<string>> {
  const log = join(folder, "log");
  rmSync(log, { force: true });
  const { code, stderr } = await patchdrop(words, { NODE_OPTIONS: `--import ${hook}`, MODULE_LOG: log });
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  return new Set(readFileSync(log, "utf8").trim().split("\n").map(placeOf));
}

const own = pathToFileURL(join(packageFolder, "dist", "/")).href;

/** The folder of the program, or the package, that a module lies in; of a file in dist/ itself, its name. */
function placeOf(url: string): string {
  if (url.startsWith(own)) return url.slice(own.length).split("/")[0];
  return /^.*node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url)?.[1] ?? url;
}

it("are in the build's description of flags", () => {
  expect(existsSync(join(packageFolder, "dist", "cli", "flags.json"))).toBe(true);
});

/** What is small, or needed: Zod, the networks and the binding are not. */
const light = ["cli", "distributed", "utils", "options", "errors.js", "commander"];

it.each([["--help"], ["eval --help"], ["help data check"], ["--version"], ["completion-server -- eval --"]])(
  "%s",
  async (line) => {
    const found = await loaded(line.split(" "));
    expect([...found].filter((place) => !place.startsWith("node:") && !light.includes(place))).toEqual([]);
    expect([...found]).toEqual(expect.arrayContaining(["cli", "commander"]));
  },
  runTimeoutMs,
);
