/** The examples at the end of a command's help. */
import type { Command } from "commander";
import { helpWidth } from "./flags.ts";

/** Adds command lines to the help; one that is too long goes on in the next line, as a shell would read it. */
export function addExamples(command: Command, examples: readonly string[]): Command {
  return command.addHelpText("after", ["\nExamples:", ...examples.flatMap(wrapped)].join("\n"));
}

/** Broken before flags and pipes only: elsewhere a break could fall into quotes. */
function wrapped(example: string): string[] {
  const [first, ...parts] = example.split(/ (?=--|\| )/);
  const lines = [`  ${first}`];
  for (const part of parts) {
    const longer = `${lines[lines.length - 1]} ${part}`;
    if (longer.length <= helpWidth - " \\".length) lines[lines.length - 1] = longer;
    else lines.push(`    ${part}`);
  }
  return lines.map((line, i) => (i < lines.length - 1 ? `${line} \\` : line));
}
