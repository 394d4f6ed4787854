/** What `npm run quickstart` starts is told of every signal that it would save at, though only the bootstrap gets it. */
import { type ChildProcess, spawn } from "node:child_process";
import { createHash } from "node:crypto";
import { readFileSync, statSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { stopSignals } from "../../src/utils/reporter.ts";
import { makeFolders } from "../make-folders.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const bootstrap = fileURLToPath(new URL("../../scripts/bootstrap.mjs", import.meta.url));
/** At which the program saves, but for Ctrl-C, which a terminal sends to both. */
const passedOn = stopSignals.filter((signal) => signal !== "SIGINT");
/** In place of the program: says the signal that it gets. */
const program = `const [, , , how] = process.argv;
for (const signal of ${JSON.stringify(passedOn)}) {
  if (how === "saves") process.on(signal, () => { console.log(signal); process.exit(7); });
}
setInterval(() => undefined, 1000);
console.log("ready");
`;
let root: string;

/** A clone in which everything is installed and built, as far as the bootstrap looks. */
beforeAll(() => {
  const lock = "{}";
  const read = { "package-lock.json": lock, "tsconfig.build.json": "{}", "tsconfig.json": "{}" };
  root = makeFolders(temporaryFolder(afterAll), {
    ...read,
    "src/.keep": "",
    "scripts/bootstrap.mjs": readFileSync(bootstrap),
    "node_modules/.patchdrop-install": createHash("sha256").update(lock).digest("hex"),
    "dist/native/find.js": "export const searchLibtorch = () => ({ found: {} });",
    "dist/cli/patchdrop.js": program,
  });
  const hash = createHash("sha256");
  for (const file of [...Object.keys(read), "src/.keep"].sort()) {
    const { size, mtimeMs } = statSync(join(root, file));
    hash.update(`${file} ${size} ${mtimeMs}\n`);
  }
  makeFolders(root, { "dist/.patchdrop-build": hash.digest("hex"), "package.json": '{ "type": "module" }' });
});

async function startProgram(how: string) {
  const args = [join(root, "scripts", "bootstrap.mjs"), "quickstart", how];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "pipe"] });
  const ended = new Promise<number | null>((resolve) => child.on("close", resolve));
  const errors = text(child.stderr!);
  let said = "";
  child.stdout!.setEncoding("utf8");
  await new Promise<void>((resolve, reject) => {
    child.stdout!.on("data", (more: string) => {
      said += more;
      if (said.includes("ready")) resolve();
    });
    child.on("close", () => reject(new Error("it has ended before it was ready")));
  });
  return { child, ended, errors, said: () => said };
}

it.each(passedOn)("%s reaches the program, whose exit code is the command's", async (signal) => {
  const { child, ended, errors, said } = await startProgram("saves");
  child.kill(signal);
  expect(await ended).toBe(7);
  expect(said()).toBe(`ready\n${signal}\n`);
  expect(await errors).toBe("");
});

it.each(passedOn.filter((signal) => signal !== "SIGUSR1"))(
  "a program that %s ends has a shell's exit code",
  async (signal) => {
    const { child, ended } = await startProgram("dies");
    child.kill(signal);
    expect(await ended).toBe(128 + constants.signals[signal]);
  },
);
