/**
 * Accuracy of classifiers by the number of patches, under the same random masks of the same images: of each pair of runs the first beside
 * the second, such as a dense classifier and one of `--arch patches`, trained alike; several pairs are several seeds:
 *
 *     npx tsx bench/masked-accuracy.ts --data_dir DIR --pairs runs/dense-1:runs/patches-1,runs/dense-2:runs/patches-2 [--split val] [--json FILE]
 *
 * Differences are the second's minus the first's, image by image, averaged over the pairs, with an interval of 95 % over the images.
 */
import { writeFileSync } from "node:fs";
import { parseArgs } from "node:util";
import { openCheckpoint } from "../src/checkpoints/open-checkpoint.ts";
import { evaluateMasks, imageByImage } from "../src/evaluation/evaluate-masks.ts";
import { withEvaluatedRun } from "../src/evaluation/evaluated-run.ts";
import { randomMask } from "../src/method/grid.ts";
import { parseEvalOptions } from "../src/options/eval-options.ts";
import { bootstrapMean } from "../src/utils/bootstrap.ts";
import { consoleReporter } from "../src/utils/console-reporter.ts";
import { Random } from "../src/utils/random.ts";
import { markdownTable } from "./markdown-table.ts";

const { values } = parseArgs({
  options: {
    data_dir: { type: "string" },
    pairs: { type: "string" },
    split: { type: "string", default: "val" },
    taken: { type: "string", default: "0,2,4,8,12,16" },
    threads: { type: "string" },
    json: { type: "string" },
  },
});
if (values.pairs === undefined) throw new Error("give --pairs runs/dense:runs/patches");
const pairs = values.pairs.split(",").map((pair) => pair.split(":"));
const taken = values.taken.split(",").map(Number);

/** Which images are right under masks of so many patches, [masks][N]. */
function rightOf(load: string): Promise<Uint8Array[]> {
  const threads = values.threads && { threads: Number(values.threads) };
  const options = parseEvalOptions({ load, data_dir: values.data_dir, split: values.split, ...threads });
  return withEvaluatedRun(openCheckpoint(load), options, { reporter: consoleReporter() }, async (evaluated) => {
    const { grid } = evaluated.run.model;
    const masks = taken.map((count) => imageByImage((i) => randomMask(grid, count, new Random(1, "masks", i))));
    return (await evaluateMasks(evaluated.split, evaluated, masks, { label: load })).map(({ right }) => right);
  });
}

const found: Uint8Array[][][] = [];
for (const pair of pairs) {
  const own: Uint8Array[][] = [];
  for (const load of pair) own.push(await rightOf(load));
  found.push(own);
}

const percent = (share: number) => (100 * share).toFixed(1);
const signed = (share: number) => `${share >= 0 ? "+" : "−"}${Math.abs(100 * share).toFixed(1)}`;
/** Of the n-th of each pair, how often an image is right, over the pairs, [N]. */
const meanRight = (n: number, mask: number) =>
  Float64Array.from(found[0][n][mask], (_, i) => found.reduce((sum, pair) => sum + pair[n][mask][i], 0) / found.length);
const results = [];
for (const [mask, count] of taken.entries()) {
  const [first, second] = [0, 1].map((n) => meanRight(n, mask));
  const [one, other] = [await bootstrapMean(first), await bootstrapMean(second)];
  const gain = await bootstrapMean(Float64Array.from(first, (right, i) => second[i] - right));
  results.push({ patches: count, images: first.length, first: one.mean, second: other.mean, gain });
}
const rows = results.map(({ patches, first, second, gain }) => [
  String(patches),
  percent(first),
  percent(second),
  `${signed(gain.mean)} (${signed(gain.low)} … ${signed(gain.high)})`,
]);
process.stdout.write(markdownTable(["patches", "first, %", "second, %", "second − first, points"], rows, 0));
if (values.json !== undefined) {
  writeFileSync(values.json, `${JSON.stringify({ pairs, split: values.split, results }, null, 2)}\n`);
}
