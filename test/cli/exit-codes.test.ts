/** docs/errors.md has every exit code of the program, and no other. */
import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { signalExitCode } from "../../src/cli/exit.ts";
import { exitCodes } from "../../src/errors.ts";
import { stopSignals } from "../../src/utils/reporter.ts";

const page = readFileSync(new URL("../../docs/errors.md", import.meta.url), "utf8");

/** Code, name and advice of each row of the table. */
function rows(): [code: number, name: string, advice: string][] {
  const lines = page.split("\n").filter((line) => /^\| \d/.test(line));
  return lines.map((line) => {
    const [, code, name, , advice] = line.split(/(?<!\\)\|/).map((cell) => cell.trim());
    return [Number(code), name.replaceAll("`", ""), advice];
  });
}

it.runIf(process.platform === "linux")(
  "the table has each kind of error and each signal, in the order of the codes",
  () => {
    const kinds = Object.entries(exitCodes).map(([kind, code]) => [code, kind] as const);
    const signals = stopSignals.map((signal) => [signalExitCode(signal), signal] as const);
    const wanted = [[0, "–"] as const, ...kinds, ...signals].toSorted(([a], [b]) => a - b);
    expect(rows().map(([code, name]) => [code, name])).toEqual(wanted);
  },
);

it("says of each code what to do", () => {
  expect(rows().filter(([, , advice]) => advice === undefined || advice.length < 5)).toEqual([]);
});
