/** Flags of `patchdrop convert` that would change nothing. */
import { expect, it } from "vitest";
import { convertCommand } from "../../src/cli/convert-command.ts";

const convert = (...args: string[]) => convertCommand().parseAsync(args, { from: "user" });

it.each<[string[], string]>([
  [["a", "b.pth", "--json"], "--json: needs --list"],
  [
    ["a", "--list", "--network", "agent", "--force"],
    "--network: must be left out with --list, got agent\n--force: must be left out with --list",
  ],
  [["a", "b.pth", "--list"], "convert: needs a file to write, or --list without one"],
])("%j", async (args, message) => {
  await expect(convert(...args)).rejects.toThrow(message);
});
