/** `patchdrop predict` as a user meets it: streams, exit codes, a file that grows. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { makeImageFolder } from "./images.ts";
import { patchdrop, runTimeoutMs, shellCommand, shellEnvironment, succeed } from "./program.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const quick = ["--threads", "1", "--precision", "fp32"];
const load = () => ["--load", at("hr"), ...quick];

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-predict-e2e-"));
  await makeImageFolder(at("data"), { classes: 2, train: 4, test: 2 });
  const training = ["--model", "R8_Scenes", "--batch_size", "8", "--max_epochs", "1", "--data_dir", at("data")];
  await succeed(["classifier_training", ...training, ...quick, "--cv_dir", at("hr")]);
  writeFileSync(at("text.png"), "no image");
}, runTimeoutMs);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("prints a line an image, and exits with 3 where one could not be read", { timeout: runTimeoutMs }, async () => {
  const { code, stdout, stderr } = await patchdrop(["predict", ...load(), at("data", "test"), at("text.png")]);
  const lines = stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as { path: string; error?: string });
  expect(lines.map(({ path }) => path)).toEqual([
    ...["class0/0.png", "class0/1.png", "class1/0.png", "class1/1.png"].map((name) => at("data", "test", name)),
    at("text.png"),
  ]);
  expect(lines.map(({ error }) => error === undefined)).toEqual([true, true, true, true, false]);
  expect(code).toBe(3);
  expect(stderr).toContain("error: 1 of 5 images could not be read; see their lines\n");
});

it("takes a list from standard input, and a pattern in quotes", { timeout: runTimeoutMs }, () => {
  const flags = [...load(), "--format", "csv", "--top", "1", "--quiet", "--out", `'${at("out.csv")}'`].join(" ");
  const images = `- '${at("data", "test", "*", "1.png")}'`;
  const script = `echo '${at("data", "test", "class1", "0.png")}' | ${shellCommand} predict ${flags} ${images}`;
  const { status, stdout, stderr } = spawnSync(script, { shell: true, encoding: "utf8", env: shellEnvironment });
  expect({ status, stdout, stderr }).toEqual({ status: 0, stdout: "", stderr: "" });
  const [header, ...lines] = readFileSync(at("out.csv"), "utf8").trimEnd().split("\n");
  expect(header).toBe("path,class,probability,mask,patches,pixels,ms,checkpoint,settings,error");
  const paths = ["class1/0.png", "class0/1.png", "class1/1.png"].map((name) => at("data", "test", name));
  expect(lines.map((line) => line.split(",")[0])).toEqual(paths);
});

it("says what is wrong with its flags", { timeout: runTimeoutMs }, async () => {
  const next = "see `patchdrop predict --help`";
  expect(await patchdrop(["predict", "--top", "0", "--resume", "x.png"])).toMatchObject({
    code: 2,
    stdout: "",
    stderr: [`error: --load: must be given; ${next}`, `error: --top: must be at least 1, got 0; ${next}\n`].join("\n"),
  });
});
