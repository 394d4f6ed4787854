/** What can be completed, in TypeScript and in real shells. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packagedPaths } from "../../src/checkpoints/packaged.ts";
import { type Shell, shells } from "../../src/cli/completion-scripts.ts";
import { completionsOf } from "../../src/cli/completions.ts";
import { commandFlags } from "../../src/cli/flags.ts";
import { patchdropProgram } from "../../src/cli/program.ts";
import { modelNames } from "../../src/models/registry.ts";

const flags = await commandFlags();
const program = patchdropProgram(flags);
const completed = (line: string) => completionsOf(program, line.split(" "), flags.values);
/** The names, and behind them `files` where one may come. */
const names = (line: string) => {
  const found = completed(line);
  return [...found.names.map(({ name }) => name), ...(found.files ? ["files"] : [])];
};

it.each<[line: string, expected: readonly string[]]>([
  ["fine", ["finetune", "finetune2stream"]],
  ["ev", ["eval"]],
  ["help ex", ["export"]],
  ["data ", ["split", "fmow", "check", "stats"]],
  ["help data ", ["split", "fmow", "check", "stats"]],
  ["--debug pre", ["pretrain", "predict"]],
  ["nothing ", []],
  ["pretrain --ck", ["--ckpt_hr_cl"]],
  ["eval --target", ["--target_patches", "--target_accuracy"]],
  ["pretrain --no", ["--no_cuda_graph", "--no_curriculum"]],
  ["models --", ["--json", "--help"]],
  ["pretrain --dataset cifar1", ["cifar10", "cifar100", "cifar100_coarse"]],
  ["data check --data_dir ", ["files"]],
  ["predict --load runs/a ", ["files"]],
  ["predict --load ", [...packagedPaths, "files"]],
  ["predict --load patchdrop:a", ["patchdrop:aid"]],
  ["predict --load=patchdrop:a", ["--load=patchdrop:aid"]],
  ["predict --load runs", ["files"]],
  ["pretrain --ckpt-hr-cl pa", [...packagedPaths, "files"]],
  ["report ", [...packagedPaths, "files"]],
  ["convert ", [...packagedPaths, "files"]],
  ["convert a b --network resnet", ["resnet_hr", "resnet_lr"]],
  ["pretrain --model ", modelNames],
  ["run x.yaml --model R8", ["R8_Scenes"]],
  // As bash says it.
  ["predict --load patchdrop : a", ["patchdrop:aid"]],
  ["predict --load = ", ["--load=patchdrop:cifar10", "--load=patchdrop:aid", "files"]],
  ["pretrain --precision=f", ["--precision=fp32"]],
  ["eval --json=", []],
  ["eval --budget ", []],
  ["eval --sweep --po", ["--policy"]],
  ["eval --budget 4 --policy ", ["threshold", "topk", "sample", "calibrated"]],
  ["completion ", ["bash", "zsh", "fish"]],
])("%s", (line, expected) => {
  expect(names(line)).toEqual(expected);
});

it("is described in a few words", () => {
  expect(completed("pretrain --lr").names).toEqual([
    { name: "--lr_size", description: "side of the low-resolution image" },
    { name: "--lr", description: "learning rate" },
  ]);
});

/** Prints what the shell's own script offers behind a line, and behind the words that the shell makes of it. */
const asking: Readonly<Record<Shell, string>> = {
  bash: `source completion.bash; complete -p patchdrop >&2
    COMP_LINE=$0 COMP_POINT=\${#0} COMP_WORDS=("$@") COMP_CWORD=$(($# - 1))
    _patchdrop patchdrop "\${@: -1}"; printf '%s\\n' "\${COMPREPLY[@]}"`,
  zsh: `compdef() { print -u 2 complete "$@" }; compset() { : }; _files() { print files }; _describe() { print -rl -- "\${(@P)2}" }
    source completion.zsh; words=("$@") CURRENT=$# PREFIX=$@[-1]; _patchdrop`,
  fish: 'source completion.fish; complete patchdrop >&2; complete -C "$argv[1]"',
};

const isInstalled = (shell: Shell) => spawnSync(shell, ["--version"]).status === 0;
const tried = shells.map(
  (shell) => [shell, isInstalled(shell) ? "" : ` (skipped: there is no ${shell} here)`] as const,
);

describe.each(tried)("in %s%s", (shell, missing) => {
  const isThere = missing === "";
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-completion-"));
  afterAll(() => rmSync(folder, { recursive: true }));
  const root = fileURLToPath(new URL("../..", import.meta.url));
  const command = [join(root, "node_modules", ".bin", "tsx"), join(root, "src", "cli", "main.ts")] as const;

  beforeAll(() => {
    if (!isThere) return;
    writeFileSync(join(folder, "patchdrop"), `#!/bin/sh\nexec '${command.join("' '")}' "$@"\n`, { mode: 0o755 });
    writeFileSync(join(folder, `completion.${shell}`), execFileSync(command[0], [command[1], "completion", shell]));
  }, 120_000);

  /** The names alone: zsh has a description behind a colon, fish behind a tab. */
  function offered(words: readonly string[]): string[] {
    const env = { ...process.env, HOME: folder, PATH: `${folder}:${process.env.PATH}` };
    const breaks = shell === "bash" ? /(?<=[:=])|(?=[:=])/ : /$^/;
    const args = [words.join(" "), ...words.flatMap((word) => (word === "" ? [""] : word.split(breaks)))];
    const { stdout, stderr } = spawnSync(shell, ["-c", asking[shell], ...args], { cwd: folder, env, encoding: "utf8" });
    expect(stderr).toMatch(/^complete .*patchdrop/m);
    const lines = stdout.split("\n").filter((line) => line !== "");
    if (shell !== "zsh") return lines.map((line) => line.split("\t")[0]);
    return lines.map((line) => line.replace(/(?<!\\):.*/, "").replaceAll("\\:", ":"));
  }

  const files = { bash: [], zsh: ["files"], fish: ["completion.fish"] }[shell];
  it.skipIf(!isThere).each<[words: string[], expected: string[]]>([
    [
      ["eval", "--load", "'a;touch torn;$(touch torn)'", "--targ"],
      ["--target_patches", "--target_accuracy"],
    ],
    [
      ["pretrain", "--precision", ""],
      ["auto", "fp32", "bf16"],
    ],
    // Bash completes files by itself, and is given what stands behind a colon.
    [["predict", "--load", "completion."], files],
    [["predict", "--load", "patchdrop:a"], [shell === "bash" ? "aid" : "patchdrop:aid"]],
  ])(
    "%j",
    (words, expected) => {
      expect(offered(["patchdrop", ...words]).sort()).toEqual(expected.toSorted());
      expect(readdirSync(folder)).not.toContain("torn");
    },
    120_000,
  );
});
