/** The package as it is published: unpacked into an empty project, its examples in JavaScript run. library.test.ts has the rest. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, expect, it } from "vitest";
import { blockScene, writeScene } from "../acquire/scenes.ts";
import { makeImageFolder } from "./images.ts";
import { packageFolder, runTimeoutMs, shellEnvironment } from "./program.ts";

const modules = fileURLToPath(new URL("../../node_modules", import.meta.url));

let project: string;
let packed: string[];
const at = (...names: string[]) => join(project, ...names);
const env = { ...shellEnvironment, OMP_NUM_THREADS: "1" };
const run = (program: string, ...args: string[]) =>
  execFileSync(program, args, { cwd: project, env, encoding: "utf8" });
const node = (...args: string[]) => run(process.execPath, ...args);

beforeAll(async () => {
  project = mkdtempSync(join(tmpdir(), "patchdrop-package-"));
  // Without its scripts: the build is there, and other tests run it.
  const npm = ["pack", packageFolder, "--ignore-scripts", "--json", "--pack-destination", project];
  const [{ filename, files }] = JSON.parse(run("npm", ...npm)) as { filename: string; files: { path: string }[] }[];
  packed = files.map(({ path }) => path);
  mkdirSync(at("node_modules", "patchdrop"), { recursive: true });
  run("tar", "-xzf", filename, "-C", at("node_modules", "patchdrop"), "--strip-components=1");
  const { dependencies } = JSON.parse(readFileSync(join(packageFolder, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    mkdirSync(dirname(at("node_modules", name)), { recursive: true });
    symlinkSync(join(modules, name), at("node_modules", name));
  }
  cpSync(at("node_modules", "patchdrop", "examples"), project, { recursive: true });
  await makeImageFolder(at("images"), { classes: 2, train: 40, test: 8 });
}, runTimeoutMs);
afterAll(() => rmSync(project, { recursive: true, force: true }));

it("holds what a user needs and nothing else", () => {
  // The page is there when it was built, which packing does unless its scripts are left out.
  const places = new Set(packed.filter((path) => !path.startsWith("demo/dist/")).map((path) => path.split("/")[0]));
  expect([...places].sort()).toEqual(
    ["CHANGELOG.md", "LICENSE", "README.md", "configs", "dist", "docs", "examples", "models", "package.json"].sort(),
  );
  for (const needed of [
    "dist/cli/patchdrop.js",
    "dist/index.js",
    "dist/index.d.ts",
    "dist/data/decode-worker.js",
    "models/aid/README.md",
  ]) {
    expect(packed).toContain(needed);
  }
});

it("serves the page until Ctrl-C", { timeout: runTimeoutMs }, async () => {
  // As if it had been built.
  const page = at("node_modules", "patchdrop", "demo", "dist");
  mkdirSync(page, { recursive: true });
  writeFileSync(join(page, "index.html"), "<p>the page</p>");
  const main = at("node_modules", "patchdrop", "dist", "cli", "main.js");
  const program = spawn(process.execPath, [main, "demo", "--port", "0"], { env, stdio: ["ignore", "pipe", "ignore"] });
  const ended = once(program, "exit");
  const [address] = (await once(program.stdout, "data")).map(String);
  expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/\n$/);
  expect(await (await fetch(address.trim())).text()).toBe("<p>the page</p>");
  program.kill("SIGINT");
  expect(await ended).toEqual([null, "SIGINT"]);
});

it("has trained weights, which are opened by their name", { timeout: runTimeoutMs }, () => {
  const listed = node("node_modules/patchdrop/dist/cli/main.js", "models");
  expect(listed).toContain("patchdrop:cifar10\n");
  const networks = node("node_modules/patchdrop/dist/cli/main.js", "convert", "patchdrop:cifar10", "--list");
  expect(networks).toMatch(/^resnet_hr: \d+ tensors, /m);
  expect(networks.split("\n")[0]).toBe(realpathSync(at("node_modules", "patchdrop", "models", "cifar10")));
});

it("trains on images of one's own, and says what the run sees in a file", { timeout: runTimeoutMs }, () => {
  const trained = node("train-on-your-images.mjs", "images", "runs");
  expect(trained).toMatch(/^runs\/policy: \d+\.\d % with \d+\.\d patches per image\n$/);
  const [, patches] = /with (\d+\.\d) patches/.exec(trained)!;
  const said = node("predict-a-file.mjs", "runs/policy", "images/test/class1/0.png");
  const found = /^class[01] \((\d+\.\d) %\), from (\d+) of 16 patches\n$/.exec(said);
  expect(found, said).not.toBeNull();
  // Of two classes the likelier one; a policy that hardly learned takes about as many patches of each image.
  expect(Number(found![1])).toBeGreaterThanOrEqual(50);
  expect(Math.abs(Number(found![2]) - Number(patches))).toBeLessThan(5);
});

it("acquires from a scene what the run chooses", { timeout: runTimeoutMs }, async () => {
  await writeScene(at("scene.tif"), blockScene(64, 32), { resampling: "nearest" });
  const said = node("acquire-from-a-cog.mjs", "runs/policy", "scene.tif", "acquired");
  const found = /^(\d+) of 32 patches, (\d+) bytes read of (\d+); see acquired\n$/.exec(said);
  expect(found, said).not.toBeNull();
  const { features } = JSON.parse(readFileSync(at("acquired", "patches.geojson"), "utf8")) as {
    features: { properties: { chosen: boolean } }[];
  };
  expect(features.filter(({ properties }) => properties.chosen).length).toBe(Number(found![1]));
});
