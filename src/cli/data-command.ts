/**
 * `patchdrop data`: a folder divided into training and test images, crops from fMoW's large images, a check of a data set's files, what
 * their bands hold.
 */
import { Command } from "commander";
import type { CropCounts } from "../data/fmow/crop.ts";
import { exitCodes, oneLine } from "../errors.ts";
import { nowAndThen } from "../utils/now-and-then.ts";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

export function dataCommand(flags: CommandFlags): Command {
  const command = new Command("data").description("Make a data set, or check one.").helpCommand(false);
  command.addCommand(splitCommand(flags)).addCommand(fmowCommand(flags));
  return command.addCommand(checkCommand(flags)).addCommand(statsCommand(flags));
}

const aboutSplit = [
  "Divide a folder of class folders, <class>/…, into training and test images: write train.csv, test.csv and classes.txt",
  "into it. No image is moved; the same folder is always divided in the same way.",
].join(" ");

const splitExamples = [
  "patchdrop data split --data_dir EuroSAT",
  "patchdrop classifier_training --data_dir EuroSAT --val_fraction 0.1 --cv_dir runs/hr",
];

function splitCommand(allFlags: CommandFlags): Command {
  const command = new Command("split").summary("Divide a folder of class folders.").description(aboutSplit);
  addFlags(command, allFlags["data split"]);
  return addExamples(command, splitExamples).action(async (flags: Flags) => {
    const [{ parseWith }, { splitSchema }, { splitFolder }, { leftOutTexts }] = await Promise.all([
      import("../options/parse.ts"),
      import("../options/data-options.ts"),
      import("../data/split-folder.ts"),
      import("../data/image-list.ts"),
    ]);
    const { data_dir: dataDir, test_fraction: share } = parseWith(splitSchema, flags, "data split");
    const { classes, train, test, passedOver } = await splitFolder(dataDir, share);
    for (const text of leftOutTexts({ passedOver })) say(text);
    process.stdout.write(`${classes} classes; train.csv: ${train} images, test.csv: ${test}\n`);
  });
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

const fmowExamples = [
  "patchdrop data fmow --input fmow-rgb --out data/fMoW",
  "patchdrop classifier_training --model R34_fMoW --data_dir data",
];

function fmowCommand(allFlags: CommandFlags): Command {
  const command = new Command("fmow").summary("Make fMoW's crops and their lists.").description(aboutFmow);
  addFlags(command, allFlags["data fmow"]);
  return addExamples(command, fmowExamples).action(async (flags: Flags) => {
    const [{ parseWith }, { fmowSchema }, { cropFmow }] = await Promise.all([
      import("../options/parse.ts"),
      import("../options/data-options.ts"),
      import("../data/fmow/crop.ts"),
    ]);
    const { input, out: output, num_workers: parallel, skip_bad: skipBad } = parseWith(fmowSchema, flags, "data fmow");
    const onProgress = nowAndThen(
      say,
      ({ images, crops, kept }: Readonly<CropCounts>, name: string) =>
        `${name}: ${images} images, ${crops} crops, ${kept} of them already there`,
    );
    const counts = await cropFmow({ input, output, skipBad, parallel, onProgress });
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

const checkExamples = ["patchdrop data check --data_dir data", "patchdrop data check --data_dir data --json"];

function checkCommand(flags: CommandFlags): Command {
  const command = new Command("check").description(
    `List every image of a data set that can't be read; exit code ${exitCodes.input} if there is one.`,
  );
  addFlags(command, flags["data check"]);
  return addExamples(command.option("--json", "print JSON"), checkExamples).action(
    async ({ json = false, ...given }: Flags) => {
      const [{ parseWith }, { checkSchema }, { checkData }, { leftOutTexts }] = await Promise.all([
        import("../options/parse.ts"),
        import("../options/data-options.ts"),
        import("../data/check.ts"),
        import("../data/image-list.ts"),
      ]);
      const {
        data_dir: dataDir,
        num_workers: parallel,
        max_image_bytes: maxImageBytes,
        ...rendering
      } = parseWith(checkSchema, given, "data check");
      const onProgress = nowAndThen(say, (done: number, total: number) => `read ${done} of ${total} images`);
      const checked = await checkData({ dataDir, parallel, maxImageBytes, rendering, onProgress });
      const { images, unreadable } = checked;
      const lines = [
        ...[...unreadable.map(({ path, reason }) => `${path}: ${reason}`), ...leftOutTexts(checked)].map(oneLine),
        `${images - unreadable.length} of ${images} images can be read`,
      ];
      process.stdout.write(`${json ? JSON.stringify(checked, null, 2) : lines.join("\n")}\n`);
      if (unreadable.length > 0) process.exitCode = exitCodes.input;
    },
  );
}

const aboutStats = [
  "Measure the bands of the training images: mean, standard deviation, least and greatest value, and how much has no data. A training",
  "on bands of TIFF images measures the same, and sees each band less its mean, in units of its standard deviation; it takes what was measured here.",
  "Of pairs (lists with a column low), the bands of the low pictures stand below, as low red and so on.",
].join(" ");

const statsExamples = [
  "patchdrop data stats --data_dir chips --bands 1,2,3,4",
  "patchdrop data stats --data_dir chips --bands red,green,blue,nir --json",
  "patchdrop data stats --data_dir pairs",
];

function statsCommand(flags: CommandFlags): Command {
  const command = new Command("stats").summary("Measure the bands of images.").description(aboutStats);
  addFlags(command, flags["data stats"]);
  return addExamples(command.option("--json", "print JSON"), statsExamples).action(
    async ({ json = false, ...given }: Flags) => {
      const [{ parseWith }, { statsSchema }, { statisticsOfData }, { statisticsTable }] = await Promise.all([
        import("../options/parse.ts"),
        import("../options/data-options.ts"),
        import("../data/data-statistics.ts"),
        import("../data/band-statistics.ts"),
      ]);
      const options = parseWith(statsSchema, given, "data stats");
      const measured = await statisticsOfData(options, say);
      process.stdout.write(`${json ? JSON.stringify(measured, null, 2) : statisticsTable(measured)}\n`);
    },
  );
}

function say(line: string): void {
  process.stderr.write(`${oneLine(line)}\n`);
}
