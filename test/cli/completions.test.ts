/** What can be completed, in TypeScript and in a real bash. */
import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { completionsOf } from "../../src/cli/completions.ts";
import { commandFlags } from "../../src/cli/flags.ts";
import { patchdropProgram } from "../../src/cli/program.ts";

const program = patchdropProgram(await commandFlags());
const names = (line: string) => {
  const found = completionsOf(program, line.split(" "));
  return found === "files" ? found : found.map(({ name }) => name);
};

it.each<[line: string, expected: string | string[]]>([
  ["fine", ["finetune", "finetune2stream"]],
  ["ev", ["eval"]],
  ["help ex", ["export"]],
  ["data ", ["split", "fmow", "check"]],
  ["help data ", ["split", "fmow", "check"]],
  ["--debug pre", ["pretrain", "predict"]],
  ["nothing ", []],
  ["pretrain --ck", ["--ckpt_hr_cl"]],
  ["eval --target", ["--target_patches", "--target_accuracy"]],
  ["pretrain --no", ["--no_cuda_graph", "--no_curriculum"]],
  ["models --", ["--json", "--help"]],
  ["pretrain --dataset cifar1", ["cifar10", "cifar100", "cifar100_coarse"]],
  ["data check --data_dir ", "files"],
  ["predict --load runs/a ", "files"],
  ["predict --load ", "files"],
  ["eval --budget ", []],
  ["eval --sweep --po", ["--policy"]],
  ["eval --budget 4 --policy ", ["threshold", "topk", "sample", "calibrated"]],
  ["completion ", ["bash", "zsh", "fish"]],
])("%s", (line, expected) => {
  expect(names(line)).toEqual(expected);
});

it("is described in a few words", () => {
  expect(completionsOf(program, ["pretrain", "--lr"])).toEqual([
    { name: "--lr_size", description: "side of the low-resolution image" },
    { name: "--lr", description: "learning rate" },
  ]);
});

describe.skipIf(spawnSync("bash", ["--version"]).status !== 0)("in bash", () => {
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-completion-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const tsx = join(root, "node_modules", ".bin", "tsx");
  const patchdrop = (...words: string[]) =>
    execFileSync(tsx, [join(root, "src", "cli", "main.ts"), ...words], { encoding: "utf8" });

  beforeAll(() => {
    const program = `#!/bin/sh\nexec '${tsx}' '${join(root, "src", "cli", "main.ts")}' "$@"\n`;
    writeFileSync(join(folder, "patchdrop"), program, { mode: 0o755 });
    writeFileSync(join(folder, "completion.bash"), patchdrop("completion", "bash"));
    expect(existsSync(tsx)).toBe(true);
  });

  /** What bash offers behind these words, the cursor at the end of the last. */
  function offered(words: readonly string[]): string[] {
    const line = words.join(" ");
    const quoted = words.map((word) => `"${word}"`).join(" ");
    const script = [
      "source completion.bash",
      `COMP_WORDS=(${quoted}) COMP_CWORD=${words.length - 1} COMP_LINE='${line}' COMP_POINT=${line.length}`,
      "complete -p patchdrop >&2",
      "_patchdrop_completion",
      // biome-ignore lint/suspicious/noTemplateCurlyInString: bash's, not ours
      'printf "%s\\n" "${COMPREPLY[@]}"',
    ].join("\n");
    const env = { ...process.env, PATH: `${folder}:${process.env.PATH}` };
    const { stdout, stderr } = spawnSync("bash", ["--norc", "-c", script], { cwd: folder, env, encoding: "utf8" });
    expect(stderr).toContain("complete -o default -F _patchdrop_completion patchdrop");
    return stdout.split("\n").filter((one) => one !== "");
  }

  it.each<[string[], string[]]>([
    [
      ["patchdrop", "fine"],
      ["finetune", "finetune2stream"],
    ],
    [
      ["patchdrop", "eval", "--load", "my runs", "--targ"],
      ["--target_patches", "--target_accuracy"],
    ],
    [
      ["patchdrop", "pretrain", "--precision", ""],
      ["auto", "fp32", "bf16"],
    ],
    // Nothing of ours: bash completes files by itself.
    [["patchdrop", "predict", "--load", ""], []],
  ])("%j", (words, expected) => expect(offered(words)).toEqual(expected), 120_000);
});
