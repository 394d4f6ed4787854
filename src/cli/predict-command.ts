/** `patchdrop predict`: what a trained run says about images, one line each. */
import { Command } from "commander";
import { exitCodes } from "../errors.ts";
import { addExamples } from "./command-examples.ts";
import { endShard, oneOfBoth } from "./end-shard.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Print a trained run's predictions for images: class, chosen patches, pixels.";

const about = [
  summary,
  "",
  [
    "IMAGE is a file; a folder, for the images below it; a pattern of *, ? and ** in quotes; or - for a list of paths on",
    "standard input, one per line. An image that can't be read gets a line with its error; the other images are still",
    `done, and the exit code is ${exitCodes.input}. Pictures get the image's path as their name, without ../ at its beginning and with .png added.`,
    "An archive is given as --manifest in place of IMAGE, and many processes do a part of it each (--shard), a file of --out each.",
    "The policy's probabilities, and in how many rounds it asked for patches where it decides in rounds, are in JSON Lines only.",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop predict --load runs/finetune photos --overlay photos-patches",
  "find photos -name '*.jpg' | patchdrop predict --load runs/finetune --format csv --out photos.csv -",
  "patchdrop predict --load runs/finetune --manifest chips.parquet --shard 3/100 --out predicted",
  "patchdrop predict --load runs/finetune 'photos/**/*.png' --out photos.jsonl --resume",
];

/** The subcommand; what it needs is loaded when it runs. */
export function predictCommand(flags: CommandFlags): Command {
  const command = new Command("predict").summary(summary).description(about).argument("[image...]", "see above");
  addFlags(command, flags.predict);
  return addExamples(command, examples)
    .option("--quiet", "print only lines and errors")
    .action(async (args: string[], { quiet = false, ...given }: Flags) => {
      const [{ parseWith }, { predictSchema }, { predict }, { terminalReporter }] = await Promise.all([
        import("../options/parse.ts"),
        import("../options/predict-options.ts"),
        import("../predict/predict.ts"),
        import("./terminal-reporter.ts"),
      ]);
      const options = parseWith(predictSchema, given, "predict");
      const reporter = terminalReporter({ quiet });
      const { manifest, out } = options;
      if ((args.length === 0) === (manifest === undefined)) throw oneOfBoth(args[0]);
      if (manifest !== undefined && out !== undefined) {
        const { predictShard } = await import("../shards/predict-shard.ts");
        const done = await predictShard({ ...options, manifest, out }, process.env, reporter);
        return endShard(done, (_, lines) => {
          if (!quiet) process.stdout.write(`${lines().join("\n")}\n`);
        });
      }
      const streams = { input: process.stdin, output: process.stdout };
      const { images, unreadable } = await predict(args, options, streams, reporter);
      if (unreadable === 0) return;
      process.stderr.write(`error: ${unreadable} of ${images} images could not be read; see their lines\n`);
      process.exitCode = exitCodes.input;
    });
}
