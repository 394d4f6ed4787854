/** The help of every command, and every command line that help and pages show. */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import { describe, expect, it } from "vitest";
import { packagedNames } from "../../src/checkpoints/packaged.ts";
import { withSubcommands } from "../../src/cli/arguments.ts";
import { patchdropProgram } from "../../src/cli/program.ts";
import { flags, nameOf, parsed } from "./parsed.ts";

const commands = withSubcommands(patchdropProgram(flags)).filter((one) => one.name() !== "completion-server");

/** All that `--help` prints, in a terminal of so many columns. */
function helpOf(command: Command, columns: number): string {
  let text = "";
  const width = () => columns;
  command.configureOutput({ writeOut: (part) => (text += part), getOutHelpWidth: width, getErrHelpWidth: width });
  command.outputHelp();
  return text;
}

describe.each(commands.map((command) => [nameOf(command), command] as const))("the help of %s", (_, command) => {
  it.each([40, 80, 200])("has 80 columns at most in a terminal of %i", (columns) => {
    const lines = helpOf(command, columns).split("\n");
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    expect(Math.max(...lines.map((line) => line.length))).toBeGreaterThan(60);
  });

  it("shows flags with underscores only", () => {
    const shown = helpOf(command, 80).match(/--[a-z][\w-]*/g) ?? [];
    expect(shown.filter((flag) => flag.slice(2).includes("-"))).toEqual([]);
  });

  it.skipIf(nameOf(command) === "data")("has two examples or more", () => {
    const [, examples = ""] = helpOf(command, 80).split("\nExamples:\n");
    expect(examples.match(/patchdrop /g)?.length).toBeGreaterThanOrEqual(2);
  });
});

/** The words of a line as a shell splits it; of a comment nothing. */
function shellWords(line: string): string[] {
  const found = line.replace(/(^|\s)#.*$/, "").matchAll(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g);
  return Array.from(found, ([word]) => word.replace(/'([^']*)'|"([^"]*)"/g, "$1$2"));
}

/** The command lines of a text with this indentation, each without `patchdrop`; what comes through a pipe is one, too. */
function commandLines(text: string, indent: number): string[] {
  const joined = text.replace(/ *\\\n */g, " ").split("\n");
  const lines = joined.filter((line) => /^ *\S/.exec(line)?.[0].length === indent + 1);
  const parts = lines.flatMap((line) => line.trim().split(/ \| |<\(|\)$/));
  return parts.flatMap((part) => /^(?:npx )?patchdrop +(.*)$/.exec(part.trim())?.[1] ?? []);
}

const docs = fileURLToPath(new URL("../../docs", import.meta.url));
const pages = readdirSync(docs, { recursive: true, encoding: "utf8" }).filter((name) => name.endsWith(".md"));
const cards = packagedNames.map((name) => `models/${name}/README.md`);
const texts = [
  ...commands.map((command) => [`${nameOf(command)} --help`, helpOf(command, 80), 2] as const),
  ...[...pages.map((name) => `docs/${name}`), ...cards, "README.md"].map(
    (name) => [name, readFileSync(`${docs}/../${name}`, "utf8"), 4] as const,
  ),
];
const shown = texts.flatMap(([place, text, indent]) =>
  commandLines(text, indent).map((line) => [place, line] as const),
);

it("finds the command lines of help and pages", () => {
  expect(shown.filter(([place]) => place.startsWith("docs/")).length).toBeGreaterThan(35);
  expect(shown.filter(([place]) => place === "README.md").length).toBeGreaterThan(8);
  expect(shown.filter(([place]) => place.startsWith("models/")).length).toBeGreaterThan(7);
  expect(shown.filter(([place]) => place.endsWith("--help")).length).toBeGreaterThan(40);
});

it.each(shown)("%s: patchdrop %s", async (_, line) => {
  // N stands for a number.
  expect(await parsed(shellWords(line.replace(/ N( |$)/, " 1$1")))).toBe("acted");
});

it.each([
  ["eval --load run --policy topp", "--policy: must be one of threshold, topk, sample, calibrated, got topp"],
  ["eval --lod run", "unknown option '--lod'\n(Did you mean --load?)"],
  ["run x.yaml --lr fast", "--lr: must be a number, got fast"],
  ["run x.yaml --load y", "unknown option '--load'"],
  ["evl --load run", "unknown command 'evl'\n(Did you mean eval?)"],
  ["help data chek", "unknown command 'chek'\n(Did you mean check?)"],
  ["eval --load run --target-patchs 6", "unknown option '--target-patchs'\n(Did you mean --target_patches?)"],
])("a line that is wrong is refused: %s", async (line, message) => {
  await expect(parsed(shellWords(line))).rejects.toThrow(message);
});
