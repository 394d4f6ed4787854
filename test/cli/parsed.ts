/** A command line as the program reads it: what help, pages and examples show must pass. */
import type { Command } from "commander";
import { understood, withSubcommands } from "../../src/cli/arguments.ts";
import { commandFlags } from "../../src/cli/flags.ts";
import { patchdropProgram } from "../../src/cli/program.ts";
import { type CommandName, commandNames, schemaOf } from "../../src/options/command-schemas.ts";
import { parseWith } from "../../src/options/parse.ts";
import { overridesSchema, parseRunOptions } from "../../src/options/run-options.ts";

export const flags = await commandFlags();

/** "data check" of `patchdrop data check`; empty for the program. */
export function nameOf(command: Command): string {
  return command.parent === null ? "" : `${nameOf(command.parent)} ${command.name()}`.trim();
}

/** Parses a line's words as the program does, up to where its command would act: its options are checked, and what it is is returned. */
export async function parsed(words: readonly string[]): Promise<string> {
  const program = patchdropProgram(flags);
  let acted = false;
  const options: Promise<void>[] = [];
  for (const command of withSubcommands(program)) {
    command.configureOutput({ writeErr: () => undefined, writeOut: () => undefined });
    if (command.commands.length > 0) continue;
    command.action(() => {
      const { json: _, quiet: __, ...given } = command.opts();
      const name = commandNames.find((one) => one === nameOf(command).replace(/^patchdrop /, ""));
      acted = true;
      if (name !== undefined) options.push(check(name, given));
    });
  }
  await program.parseAsync(understood(program, words), { from: "user" });
  await Promise.all(options);
  return acted ? "acted" : "nothing";
}

async function check(name: CommandName, given: Record<string, unknown>): Promise<void> {
  if (name !== "run") {
    parseWith(await schemaOf(name), given, name);
    return;
  }
  const { overrides } = parseRunOptions(given);
  parseWith(overridesSchema.partial(), overrides, name);
}
