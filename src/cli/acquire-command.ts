/** `patchdrop acquire`: reads only those patches of a scene that a trained policy chooses. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
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
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop acquire --load runs/finetune https://example.com/scene.tif --out acquired --egress_per_gb 0.09",
  "patchdrop acquire --load runs/finetune scene.tif --out acquired --bands 3,2,1 --scale 0,3000 --price_per_km2 12 --json",
  'patchdrop acquire --load runs/finetune items.json --out acquired --asset visual --bbox 10,45,12,47 --query "eo:cloud_cover<20"',
  "patchdrop acquire --load runs/finetune items.json --out acquired --asset red,green,blue,nir",
];

/** The subcommand; what it needs is loaded when it runs. */
export function acquireCommand(flags: CommandFlags): Command {
  const command = new Command("acquire").summary(summary).description(about).argument("<image>", "see above");
  addFlags(command, flags.acquire);
  return addExamples(command, examples)
    .option("--json", "print the contents of savings.json")
    .option("--quiet", "print only errors")
    .action(async (image: string, { json = false, quiet = false, ...given }: Flags) => {
      const [{ parseAcquireOptions }, { acquireRun }, { savingsLines }, { roundLines }, { terminalReporter }] =
        await Promise.all([
          import("../options/acquire-options.ts"),
          import("../acquire/acquire-run.ts"),
          import("../acquire/savings.ts"),
          import("../acquire/tally.ts"),
          import("./terminal-reporter.ts"),
        ]);
      const options = parseAcquireOptions(given);
      const acquired = await acquireRun(image, options, terminalReporter({ quiet }));
      if (json) process.stdout.write(`${JSON.stringify(acquired, undefined, 2)}\n`);
      else if (!quiet) {
        const { cells, rounds } = acquired;
        const free = cells.free === undefined ? "" : `, and ${cells.free} that cost nothing`;
        const patches = `patches ${cells.chosen} of ${cells.all}${free}`;
        const lines = [patches, ...roundLines(rounds), ...savingsLines(acquired), `see ${options.out}`];
        process.stdout.write(`${lines.join("\n")}\n`);
      }
    });
}
