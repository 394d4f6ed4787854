/** `patchdrop data`: crops from fMoW's large images, and a check of a data set's files. */
import { Command } from "commander";
import type { CropCounts } from "../data/fmow/crop.ts";
import { exitCodes } from "../errors.ts";
import { checkSchema, fmowSchema } from "../options/data-options.ts";
import { parseWith } from "../options/parse.ts";
import { nowAndThen } from "../utils/now-and-then.ts";
import { addFlags, type Flags } from "./flags.ts";

export function dataCommand(): Command {
  const command = new Command("data").description("Make a data set, or check one.").helpCommand(false);
  command.addCommand(fmowCommand());
  return command.addCommand(checkCommand());
}

const aboutFmow = [
  [
    "Cut the objects out of fMoW-rgb's large images, with some of their surroundings, and list the crops in train.csv",
    "(of train/) and test.csv (of val/, test/ and seq/). If it is stopped, the same command continues it.",
  ].join(" "),
  "",
  [
    "The categories of test/ and seq/ are in the data set's groundtruth.tar.bz2: unpack it into the input folder. Without",
    "it, their crops are listed in unlabelled.csv. What was left out, and why, is in skipped.csv.",
  ].join(" "),
].join("\n");

const fmowExamples = `
Examples:
  patchdrop data fmow --input fmow-rgb --output data/fMoW
  patchdrop classifier_training --model R34_fMoW --data_dir data`;

function fmowCommand(): Command {
  const command = new Command("fmow").summary("Make fMoW's crops and their lists.").description(aboutFmow);
  return addFlags(command, fmowSchema)
    .addHelpText("after", fmowExamples)
    .action(async (flags: Flags) => {
      const { input, output, workers, skip_bad: skipBad } = parseWith(fmowSchema, flags, "data fmow");
      const { cropFmow } = await import("../data/fmow/crop.ts");
      const onProgress = nowAndThen(
        say,
        ({ images, crops, kept }: Readonly<CropCounts>, name: string) =>
          `${name}: ${images} images, ${crops} crops, ${kept} of them already there`,
      );
      const counts = await cropFmow({ input, output, skipBad, parallel: workers, onProgress });
      process.stdout.write(`${cropSummary(counts)}\n`);
    });
}

function cropSummary({ images, crops, kept, overhanging, skipped, bad, ...rows }: CropCounts): string {
  const left = Object.entries({ ...skipped, "can't be used": bad }).filter(([, count]) => count > 0);
  return [
    `${crops} crops of ${images} images, ${kept} of them already there; ${overhanging} cut off at the edge of the image`,
    `skipped: ${left.map(([reason, count]) => `${reason} (${count})`).join(", ") || "nothing"}`,
    `train.csv: ${rows.train} crops, test.csv: ${rows.test}, unlabelled.csv: ${rows.unlabelled}`,
  ].join("\n");
}

function checkCommand(): Command {
  const command = new Command("check").description(
    `List every image of a data set that can't be read; exit code ${exitCodes.input} if there is one.`,
  );
  return addFlags(command, checkSchema)
    .option("--json", "print JSON")
    .addHelpText(
      "after",
      "\nExamples:\n  patchdrop data check --data_dir data\n  patchdrop data check --data_dir data --json",
    )
    .action(async ({ json = false, ...given }: Flags) => {
      const {
        data_dir: dataDir,
        workers,
        max_image_bytes: maxImageBytes,
      } = parseWith(checkSchema, given, "data check");
      const { checkData } = await import("../data/check.ts");
      const onProgress = nowAndThen(say, (done: number, total: number) => `read ${done} of ${total} images`);
      const checked = await checkData({ dataDir, parallel: workers, maxImageBytes, onProgress });
      const { images, unreadable } = checked;
      const lines = unreadable.map(({ path, reason }) => `${path}: ${reason}`);
      lines.push(`${images - unreadable.length} of ${images} images can be read`);
      process.stdout.write(`${json ? JSON.stringify(checked, null, 2) : lines.join("\n")}\n`);
      if (unreadable.length > 0) process.exitCode = exitCodes.input;
    });
}

function say(line: string): void {
  process.stderr.write(`${line}\n`);
}
