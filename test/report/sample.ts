/** Invented results for the tests of the report. */
import { makeGrid } from "../../src/method/grid.ts";
import type { GalleryItem, RawImage } from "../../src/report/gallery.ts";
import type { PageInput } from "../../src/report/page.ts";
import type { PolicyReport } from "../../src/report/policies.ts";
import type { TradeoffSeries } from "../../src/report/tradeoff.ts";

/** An image whose every byte differs from its neighbours. */
export function sampleImage(size: number, seed: number): RawImage {
  return { size, pixels: Uint8Array.from({ length: size * size * 3 }, (_, i) => (i * 37 + seed * 101) % 256) };
}

export function sampleItem(changes: Partial<GalleryItem> = {}): GalleryItem {
  return {
    image: sampleImage(8, 1),
    lowResolution: sampleImage(4, 2),
    masked: sampleImage(8, 3),
    grid: makeGrid(8, 4),
    probabilities: [0.9, 0.25, 0.07, 0.65],
    mask: Uint8Array.of(1, 0, 0, 1),
    label: "cat",
    prediction: "cat",
    correct: true,
    ...changes,
  };
}

export const sampleTradeoff: readonly TradeoffSeries[] = [
  {
    label: "policy",
    kind: "policy",
    points: [
      { patches: 16, accuracy: 1 },
      { patches: 0, accuracy: 0.5 },
      { patches: 8, accuracy: 0.75 },
    ],
  },
  { label: "LR classifier", kind: "baseline", points: [{ patches: 0, accuracy: 0.5 }] },
];

export function samplePolicy(changes: Partial<PolicyReport> = {}): PolicyReport {
  const ofClass = { images: 4, accuracy: 0.75, patches: 1.54, tradeoff: sampleTradeoff };
  return {
    name: "finetune",
    tradeoff: sampleTradeoff,
    patchUse: [0.1, 0.2, 0.3, 0.94],
    columns: 2,
    classes: [
      { name: "cat", ...ofClass, patchUse: [0.2, 0.2, 0.2, 0.94] },
      { name: "dog", ...ofClass, patchUse: [0, 0.2, 0.4, 0.94] },
    ],
    health: {
      entropyBits: 1.25,
      distinctMasks: 5,
      commonestMask: 0.25,
      imagesByPatches: [0, 4, 4, 0, 0],
      accuracy: 0.75,
      bestBaseline: { name: "one fixed mask", accuracy: 0.5, gain: { mean: 0.25, low: 0.125, high: 0.375 } },
      sameNumber: { name: "centre patches", accuracy: 0.625, gain: { mean: 0.125, low: 0.0625, high: 0.1875 } },
    },
    gallery: [{ title: "Cheapest", items: [sampleItem()] }],
    ...changes,
  };
}

const way = (accuracy: number, mean: number) => ({
  ...{ patches: 4, accuracy },
  gain: { mean, low: mean - 0.0125, high: mean + 0.0125 },
});

/** A headroom of 3.5 points by rounds. */
export const sampleHeadroom = {
  ...{ dataset: "cifar10", split: "val" as const, images: 3000, none: 0.5, all: 0.875 },
  budgets: [
    { budget: 4, fixed: 0.75, many: way(0.765, 0.015), rounds: way(0.785, 0.035), where: way(0.75, 0) },
    { budget: 8, fixed: 0.8, many: way(0.81, 0.01), rounds: way(0.825, 0.025), where: way(0.795, -0.005) },
  ],
  verdict: {
    best: { way: "rounds" as const, budget: 4, patches: 4, gain: way(0.785, 0.035).gain },
    sentence: "Looking can pay: 3.5 points by looking in rounds.",
  },
};

export function samplePage(changes: Partial<PageInput> = {}): PageInput {
  return {
    title: "PatchDrop on CIFAR-10",
    summary: "The policy reads 7.2 of 16 patches.",
    table: {
      rows: [
        {
          name: "HR classifier, all patches",
          kind: "baseline",
          accuracy: 0.9261,
          patches: 16,
          patchesStd: 0,
          distinctMasks: 1,
        },
        {
          name: "policy after finetuning",
          kind: "policy",
          accuracy: 0.9138,
          patches: 7.204,
          patchesStd: 2.13,
          distinctMasks: 3187,
          reward: -0.0214,
        },
      ],
    },
    times: [
      {
        name: "pretrain",
        times: {
          ...{ sessions: 2, seconds: 8 },
          training: { device: "cpu", threads: 2, precision: "bf16", images: 4000, imagesPerSecond: 640 },
          kinds: [
            { kind: "other", seconds: 1, calls: 0 },
            { kind: "backward", seconds: 5, calls: 1200 },
            { kind: "policy", seconds: 2, calls: 1200 },
          ],
        },
      },
    ],
    stages: [
      {
        name: "pretrain",
        records: [
          { epoch: 0, split: "train", accuracy: 0.5, patches: 16 },
          { epoch: 2, split: "train", accuracy: 0.75, patches: 12 },
          { epoch: 4, split: "train", accuracy: 1, patches: 8 },
          { epoch: 4, split: "test", accuracy: 0.9, patches: 8.5 },
        ],
      },
    ],
    headrooms: [],
    policies: [samplePolicy()],
    classes: [
      {
        name: "finetune",
        classes: [
          { name: "cat", images: 4, accuracy: 0.75, patches: 1.54 },
          { name: "dog", images: 4, accuracy: 0.75, patches: 1.54 },
        ],
        confusions: [
          { label: 0, prediction: 1, images: 1 },
          { label: 1, prediction: 0, images: 1 },
        ],
      },
    ],
    runs: [
      {
        name: "finetune",
        configuration: new Map<string, unknown>([
          ["alpha", 0.8],
          ["curriculum", true],
          ["__proto__", "a key like any other"],
        ]),
        versions: [["node", "20.20.2"]],
      },
    ],
    command: "patchdrop finetune --model R32_C10 --cv_dir 'runs/a & b'",
    generated: new Date("2026-11-23T09:54:31Z"),
    ...changes,
  };
}

const timed = (
  network: "agent" | "resnet_hr" | "dense",
  median: number,
  more: { patches?: number; batch?: number } = {},
) => ({
  ...{ network, batch: 64, multiplyAdds: 1_000_000, passes: 12, ...more },
  milliseconds: { low: median - 0.25, median, high: median + 0.5 },
});

/** 2, 3, 5 and 6 ms of a classifier with 0, 4, 8 and 16 patches, half a millisecond of its policy; one image alone takes ten times as long. */
export const sampleCompute = {
  machine: {
    ...{ processor: "A Processor", device: "cpu", threads: 2, precision: "fp32" as const },
    ...{ libtorch: "2.12.0", date: "2026-11-29T20:00:00.000Z" },
    busyElsewhere: 0.26,
  },
  patches: 16,
  rounds: 1,
  rows: [
    timed("resnet_hr", 20, { patches: 0, batch: 1 }),
    timed("resnet_hr", 60, { patches: 16, batch: 1 }),
    timed("agent", 0.5),
    timed("resnet_hr", 2, { patches: 0 }),
    timed("resnet_hr", 3, { patches: 4 }),
    timed("resnet_hr", 5, { patches: 8 }),
    timed("resnet_hr", 6, { patches: 16 }),
    timed("dense", 8, { patches: 0 }),
  ],
  noJoules: "nobody counts",
};
