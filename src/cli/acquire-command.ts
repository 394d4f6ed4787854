/** `patchdrop acquire`: reads only those patches of a scene that a trained policy chooses. */
import { Command } from "commander";
import { exitCodes } from "../errors.ts";
import { addExamples } from "./command-examples.ts";
import { endShard, oneOfBoth } from "./end-shard.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Read only those patches of an image that a trained policy chooses, and report what that saves.";

const about = [
  summary,
  "",
  [
    "IMAGE is a tiled GeoTIFF with overviews (COG), as a path or an http(s) address, or another picture, which is read as a",
    "whole. A large image is cut into windows of the model's size. The folder --out gets the chosen and the other cells,",
    "an order, predictions, the masked image, a STAC item, and what was saved in pixels, bytes, time and money.",
    "IMAGE may also be a STAC item, an ItemCollection, the answer of a STAC search, or STAC GeoParquet; of several items,",
    "each scene gets a folder in --out. Assets that are a band each make one scene.",
    "With --low, the policy looks at another image of the same place, of any sensor and projection; with --plan, too, and no",
    "IMAGE, it chooses cells on the ground before the sharp image exists.",
    "An archive is given as --manifest in place of IMAGE, and many processes do a part of it each (--shard): its scenes become",
    "lines of one file of --out, which go without the masked image. A scene that can't be read is a line with its reason, and",
    `the exit code is then ${exitCodes.input}. The same command again goes on where it was stopped.`,
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop acquire --load runs/finetune https://example.com/scene.tif --out acquired --egress_per_gb 0.09",
  "patchdrop acquire --load runs/finetune scene.tif --out acquired --bands 3,2,1 --scale 0,3000 --price_per_km2 12 --json",
  "patchdrop acquire --load runs/finetune --manifest archive.jsonl --shard 3/100 --out acquired",
  'patchdrop acquire --load runs/finetune items.json --out acquired --asset visual --bbox 10,45,12,47 --query "eo:cloud_cover<20"',
  "patchdrop acquire --load runs/finetune sharp.tif --low sentinel2.tif --low_bands 3,2,1 --low_scale 0,3000 --out acquired",
  "patchdrop acquire --load runs/finetune --low sentinel2.tif --plan --out planned --price_per_km2 12",
  "patchdrop acquire --load runs/finetune items.json --out acquired --asset red,green,blue,nir",
];

/** The subcommand; what it needs is loaded when it runs. */
export function acquireCommand(flags: CommandFlags): Command {
  const command = new Command("acquire").summary(summary).description(about).argument("[image]", "see above");
  addFlags(command, flags.acquire);
  return addExamples(command, examples)
    .option("--json", "print the contents of savings.json")
    .option("--quiet", "print only errors")
    .action(async (image: string | undefined, { json = false, quiet = false, ...given }: Flags) => {
      const [{ parseAcquireOptions }, { terminalReporter }] = await Promise.all([
        import("../options/acquire-options.ts"),
        import("./terminal-reporter.ts"),
      ]);
      const options = parseAcquireOptions(given);
      const reporter = terminalReporter({ quiet });
      const { manifest } = options;
      const print = (content: object, lines: () => readonly string[]) => {
        if (json) process.stdout.write(`${JSON.stringify(content, undefined, 2)}\n`);
        else if (!quiet) process.stdout.write(`${lines().join("\n")}\n`);
      };
      if (manifest !== undefined) {
        if (image !== undefined) throw oneOfBoth(image);
        const { acquireShard } = await import("../shards/acquire-shard.ts");
        return endShard(await acquireShard({ ...options, manifest }, process.env, reporter), print);
      }
      const [{ acquireRun }, { savingsLines }, { remarkLines }] = await Promise.all([
        import("../acquire/acquire-run.ts"),
        import("../acquire/savings.ts"),
        import("../acquire/tally.ts"),
      ]);
      const acquired = await acquireRun(image, options, reporter);
      const { cells } = acquired;
      const free = cells.free === undefined ? "" : `, and ${cells.free} that cost nothing`;
      const patches = `patches ${cells.chosen} of ${cells.all}${free}`;
      print(acquired, () => [patches, ...remarkLines(acquired), ...savingsLines(acquired), `see ${options.out}`]);
    });
}
