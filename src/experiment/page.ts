/** Gathers an experiment's curves, table and pictures for the report's page. */
import path from "node:path";
import { findModel } from "../models/registry.ts";
import type { GalleryItem } from "../report/gallery.ts";
import type { MetricRecord, StageRecords } from "../report/learning-curves.ts";
import { renderPage } from "../report/page.ts";
import type { ResultRow } from "../report/table.ts";
import type { TradeoffSeries } from "../report/tradeoff.ts";
import { writeFileAtomic } from "../run/atomic.ts";
import { readMetrics } from "../run/metrics.ts";
import { openCheckpoint } from "../run/open-checkpoint.ts";
import type { RunEvaluation } from "../stages/evaluate-run.ts";
import { showImages } from "../stages/show-images.ts";
import { Random } from "../utils/random.ts";
import type { Experiment } from "./config.ts";
import { evalOptions } from "./eval-options.ts";

const galleryImages = 12;

/** Writes `index.html` into `folder`, and returns its path. */
export async function writePage(
  experiment: Experiment,
  { rows, evaluations }: { rows: ResultRow[]; evaluations: Record<string, RunEvaluation> },
  folder: string,
  command: string,
): Promise<string> {
  const withPolicy = experiment.stages.filter(({ stage }) => stage !== "classifier_training");
  const chosen = withPolicy.find(({ name }) => name === experiment.gallery) ?? withPolicy.at(-1);
  const last = experiment.stages.at(-1)!;
  const { config } = openCheckpoint(last.options.cv_dir);
  const patchUse = chosen && evaluations[chosen.name].patchUse;
  const html = await renderPage({
    title: experiment.title,
    summary: experiment.summary,
    table: { rows },
    stages: experiment.stages.map(({ name, options }) => curves(name, options.cv_dir)),
    tradeoff: tradeoff(evaluations),
    ...(patchUse && { patchUse }),
    gallery: chosen === undefined ? [] : await gallery(experiment, chosen, evaluations[chosen.name].images),
    configuration: experiment.stages.flatMap(({ name, options }) =>
      Object.entries(options)
        .filter(([, value]) => value !== undefined)
        .map(([key, value]) => [`${name}.${key}`, value] as const),
    ),
    versions: Object.entries(config.versions),
    command,
    generated: new Date(),
  });
  const file = path.join(folder, "index.html");
  writeFileAtomic(file, Buffer.from(html));
  return file;
}

function curves(name: string, folder: string): StageRecords {
  const records = readMetrics(folder).map((record) => {
    const number = (key: string) => (typeof record[key] === "number" ? record[key] : undefined);
    const [reward, patches, loss] = [number("reward"), number("sparsity"), number("loss")];
    return {
      epoch: record.epoch,
      split: record.split as MetricRecord["split"],
      accuracy: Number(record.accuracy),
      ...(reward !== undefined && { reward }),
      ...(patches !== undefined && { patches }),
      ...(loss !== undefined && { loss }),
    };
  });
  return { name, records };
}

/** Accuracy against patches: the policies' points, and each kind of baseline as one series. */
function tradeoff(evaluations: Record<string, RunEvaluation>): TradeoffSeries[] {
  const series = new Map<string, TradeoffSeries & { points: { patches: number; accuracy: number }[] }>();
  for (const { rows } of Object.values(evaluations)) {
    for (const { name, kind, patches, accuracy } of rows) {
      const label = kind === "policy" ? "policy" : name.replace(/, as many$/, "");
      const known = series.get(label) ?? { label, kind, points: [] };
      known.points.push({ patches, accuracy });
      series.set(label, known);
    }
  }
  for (const { points } of series.values()) points.sort((a, b) => a.patches - b.patches);
  return [...series.values()];
}

async function gallery(
  experiment: Experiment,
  stage: Experiment["stages"][number],
  images: number,
): Promise<GalleryItem[]> {
  const random = new Random(stage.options.seed, "gallery");
  const indices = Uint32Array.from({ length: galleryImages }, () => random.integer(images));
  const { imageSize: size } = findModel(stage.options);
  const raw = (pixels: Uint8Array) => ({ size, pixels });
  return (await showImages(evalOptions(stage, experiment), indices)).map((shown) => ({
    ...shown,
    image: raw(shown.image),
    lowResolution: raw(shown.lowResolution),
    masked: raw(shown.masked),
  }));
}
