/**
 * Makes a set of models for the browser page from a trained run:
 *
 *   npx tsx scripts/make-demo-models.ts --load runs/quickstart/finetune --name scenes --title "…" --about "…"
 *
 * Writes demo/models/NAME/: the exported networks, sample images of the run's test set as PNG files, and model.json, with
 * all that the page says about them. Samples are picked at random, one per class. What the policy reaches is copied from the
 * results.json beside the run folder (`patchdrop run` and `patchdrop quickstart` write one), where there is one.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import sharp from "sharp";
import type { Evaluation, Sample, SetDescription } from "../demo/description.ts";
import { openCheckpoint } from "../src/checkpoints/open-checkpoint.ts";
import { fail } from "../src/cli/failure.ts";
import type { Dataset } from "../src/data/dataset.ts";
import { type DataFlags, openDataFor } from "../src/data/open.ts";
import { fault } from "../src/errors.ts";
import type { ExperimentResult } from "../src/experiment/run-experiment.ts";
import { exportRun } from "../src/export/export-run.ts";
import { removeFolderAtomic, writeFolderAtomic } from "../src/files/atomic.ts";
import { modelOf } from "../src/inference/describe-run.ts";
import { type Exported, openExported, temperatureOf } from "../src/inference/exported.ts";
import { exportSchema } from "../src/options/export-options.ts";
import { Random } from "../src/utils/random.ts";

const demoModels = fileURLToPath(new URL("../demo/models/", import.meta.url));
/** A visitor's phone has to fetch them. */
const mostModelBytes = 3_000_000;
const mostSamples = 12;

interface Given {
  readonly load: string;
  readonly name: string;
  readonly title: string;
  readonly about: string;
  readonly seed: number;
  readonly data_dir: string | undefined;
  readonly threads: number | undefined;
}

try {
  await main(given());
} catch (error) {
  fail(error);
}

function given(): Given {
  const text = { type: "string" } as const;
  const options = { load: text, name: text, title: text, about: text, data_dir: text, seed: text, threads: text };
  const { values } = parseArgs({ options });
  const missing = (["load", "name", "title", "about"] as const).filter((flag) => values[flag] === undefined);
  if (missing.length > 0)
    throw fault(
      "usage",
      missing.map((flag) => ({ where: `--${flag}`, rule: "must be given" })),
    );
  const { load = "", name = "", title = "", about = "", data_dir, seed = "1", threads } = values;
  if (!/^[a-z][a-z0-9-]*$/.test(name)) {
    throw fault("usage", { where: "--name", rule: "must be a folder's name of a-z, 0-9 and -", got: name });
  }
  const given = { load, name, title, about, data_dir, seed: Number(seed) };
  return { ...given, threads: threads === undefined ? undefined : Number(threads) };
}

async function main({ load, name, title, about, seed, ...where }: Given): Promise<void> {
  const exported = await exportAnew(load, where);
  const files = [...exported.models.keys()].join(" and ");
  if (files !== "policy.onnx and classifier.onnx") {
    const rule = "must export policy.onnx and classifier.onnx, which the page shows";
    throw fault("input", { where: load, rule, got: files, next: "give a run of finetune" });
  }
  const bytes = [...exported.models.values()].reduce((sum, model) => sum + model.length, 0);
  if (bytes > mostModelBytes) {
    throw fault("resource", { where: load, rule: `models must have at most ${mostModelBytes} bytes`, got: bytes });
  }
  const { samples, pictures } = await drawSamples(await testSet(load, where), seed);
  const { checkpoint, description: own } = exported;
  const temperature = temperatureOf(exported);
  const { model, variant, arch, imageSize, patchSize, lowSize, transform, fill, rounds, classes, normalization } = own;
  const evaluation = evaluationOf(load);
  const description: SetDescription = {
    title,
    about,
    model: `${model} ${variant}`,
    checkpoint,
    imageSize,
    patchSize,
    lowSize,
    transform,
    ...normalization,
    fill,
    ...(arch && { arch }),
    ...(rounds > 1 && { rounds }),
    ...(temperature && { temperature }),
    classes,
    samples,
    evaluation,
  };
  const folder = join(demoModels, name);
  mkdirSync(demoModels, { recursive: true });
  if (existsSync(folder)) removeFolderAtomic(folder);
  const text = Buffer.from(`${JSON.stringify(description, null, 2)}\n`);
  writeFolderAtomic(folder, new Map([...exported.models, ...pictures, ["model.json", text] as const]));
  process.stdout.write(`${folder}\n${bytes} bytes of models, ${samples.length} samples\n`);
}

/** What `patchdrop export` writes of the run. */
async function exportAnew(load: string, where: Pick<Given, "data_dir" | "threads">): Promise<Exported> {
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-demo-"));
  try {
    const out = join(folder, "onnx");
    await exportRun(exportSchema.parse({ load, out, ...where }));
    return openExported(out);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

async function testSet(load: string, where: Pick<Given, "data_dir" | "threads">): Promise<Dataset> {
  const checkpoint = openCheckpoint(load);
  const own = checkpoint.config.options as DataFlags;
  const flags = { ...own, data_dir: where.data_dir ?? own.data_dir };
  return (await openDataFor(modelOf(checkpoint, {}), flags)).test;
}

/** The first images, in a random order, of the classes that come first in it. */
async function drawSamples(
  test: Dataset,
  seed: number,
): Promise<{ samples: Sample[]; pictures: Map<string, Uint8Array> }> {
  const order = new Random(seed, "samples of the demo").shuffle(Uint32Array.from({ length: test.length }, (_, i) => i));
  const firsts = new Map<number, number>();
  for (const image of order) {
    if (firsts.size < mostSamples && !firsts.has(test.labels[image])) firsts.set(test.labels[image], image);
  }
  const samples: Sample[] = [];
  const pictures = new Map<string, Uint8Array>();
  for (const [label, image] of [...firsts].sort(([a], [b]) => a - b)) {
    const pixels = new Uint8Array(test.imageSize ** 2 * 3);
    await test.read(Uint32Array.of(image), pixels);
    const raw = { width: test.imageSize, height: test.imageSize, channels: 3 } as const;
    const file = `sample-${image}.png`;
    pictures.set(file, await sharp(pixels, { raw }).png().toBuffer());
    samples.push({ file, label: test.classes[label] });
  }
  return { samples, pictures };
}

/** Of the same checkpoint, from the results beside its run folder. */
function evaluationOf(load: string): Evaluation | undefined {
  const file = join(dirname(load), "results.json");
  if (!existsSync(file)) return undefined;
  const { evaluations } = JSON.parse(readFileSync(file, "utf8")) as Pick<ExperimentResult, "evaluations">;
  const own = evaluations[basename(load)];
  if (own === undefined || basename(own.checkpoint) !== basename(openCheckpoint(load).path)) return undefined;
  const { dataset, split, images } = own;
  const rows = own.rows.map(({ name, accuracy, patches }) => ({ name, accuracy, patches }));
  return { dataset, split, images, rows };
}
