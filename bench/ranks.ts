/**
 * Many ranks of one thread each, on this machine, in one run beside PyTorch's DistributedDataParallel (gloo) with as many
 * processes, one process with as many threads, and one rank with its share of the batch alone.
 */
import { fault } from "../src/errors.ts";
import { markdownTable } from "./markdown-table.ts";
import {
  comparedImages,
  here,
  inTurns,
  lossTolerance,
  type Measured,
  manySteps,
  median,
  type StartedSide,
  summary,
  warmups,
} from "./measure.ts";
import { type BenchModel, Side, type Stage, type Work } from "./side.ts";

export const imagesARank: Record<BenchModel, number> = { R32_C10: 256, R34_fMoW: 32 };

export interface RanksOptions {
  readonly python: string;
  readonly stage: Stage;
  readonly model: BenchModel;
  readonly ranks: number;
  /** Images of each rank. */
  readonly each: number;
  readonly steps: number;
  /** Whether PyTorch is measured in bf16 too. */
  readonly bf16: boolean;
}

export interface RanksCase {
  readonly stage: Stage;
  readonly model: BenchModel;
  /** Images of all ranks. */
  readonly batch: number;
  readonly sides: Readonly<Record<string, Measured>>;
  /** Of a step of this program's ranks: how much of it the last rank spent in all-reduce, the median. */
  readonly reduceShare: number;
}

type Command = (precision: "auto" | "fp32") => { readonly command: string[]; readonly threads: number };

/** By name, in the table's order. */
function sidesOf({ python, ranks, bf16 }: RanksOptions): Record<string, Command> {
  const node = [process.execPath, ...process.execArgv, here("ours.ts"), "--precision"];
  const mpirun = ["mpirun", "--oversubscribe", "--bind-to", "none", "-n", String(ranks)];
  const ddp =
    (config: string): Command =>
    () => ({
      command: [python, here("peer.py"), "--config", config, "--ranks", String(ranks)],
      threads: 1,
    });
  return {
    "DDP fp32": ddp("best-fp32"),
    ...(bf16 && { "DDP bf16": ddp("best-bf16") }),
    ranks: (precision) => ({ command: [...mpirun, ...node, precision], threads: 1 }),
    "one process": (precision) => ({ command: [...node, precision], threads: ranks }),
    "one rank": (precision) => ({ command: [...node, precision], threads: 1 }),
  };
}

/** Times a stage on all sides, once DDP and the ranks have the same first loss of rank 0's share. @throws system: they differ */
export async function compareRanks(options: RanksOptions): Promise<RanksCase> {
  const { stage, model, ranks, each, steps } = options;
  const sides = sidesOf(options);
  await mustAgree(options, sides);
  const started: (StartedSide & { images: number })[] = [];
  try {
    for (const [name, commandOf] of Object.entries(sides)) {
      const { command, threads } = commandOf("auto");
      const images = name === "one rank" ? each : ranks * each;
      const work = { ...workOf(options, images, threads), steps: manySteps, warmup: warmups.step.cpu };
      started.push({ ...(await Side.start(name, command, work, environment)), taken: [], images });
    }
    await inTurns(started, steps, { unit: "step", device: "cpu" });
    const measured: [string, Measured][] = [];
    for (const { side, ready, taken, images } of started) {
      measured.push([side.name, summary(images, ready, taken, await side.finish())]);
    }
    const { taken } = started.find(({ side }) => side.name === "ranks")!;
    const reduceShare = median(taken.map(({ reduceSeconds = Number.NaN, seconds }) => reduceSeconds / seconds));
    return { stage, model, batch: ranks * each, sides: Object.fromEntries(measured), reduceShare };
  } finally {
    for (const { side } of started) side.stop();
  }
}

/** Open MPI asks whoever is root whether it is meant. */
const environment = { OMPI_ALLOW_RUN_AS_ROOT: "1", OMPI_ALLOW_RUN_AS_ROOT_CONFIRM: "1" };

function workOf({ stage, model }: RanksOptions, batch: number, threads: number): Work {
  return { stage, model, batch, steps: 1, warmup: 0, threads, device: "cpu", unit: "step" };
}

async function mustAgree(options: RanksOptions, sides: Record<string, Command>): Promise<void> {
  const firstLoss = async (name: string) => {
    const { command, threads } = sides[name]("fp32");
    const work = workOf(options, comparedImages[options.model], threads);
    const { side } = await Side.start(name, command, work, environment);
    try {
      const { value } = await side.step();
      await side.finish();
      return value;
    } finally {
      side.stop();
    }
  };
  const [ddp, ours] = [await firstLoss("DDP fp32"), await firstLoss("ranks")];
  if (Math.abs(ours - ddp) <= lossTolerance * Math.abs(ddp)) return;
  const rule = `first losses must agree to ${lossTolerance} (relative) before anything is timed`;
  throw fault("system", { where: options.stage, rule, got: `${ours} on ranks, ${ddp} by DistributedDataParallel` });
}

/** Speeds in images/s; memory is that of the largest rank. */
export function ranksTable(cases: readonly RanksCase[], ranks: number): string {
  const header = [
    ...[
      "model",
      "stage",
      "batch",
      "(a) DDP",
      `(b) ${ranks} ranks`,
      `(c) one process, ${ranks} threads`,
      "(d) one rank alone",
    ],
    ...["b/a", "b/c", `b/${ranks}d`, "all-reduce", "peak MiB: a", "b", "d"],
  ];
  const rows = cases.map(({ model, stage, batch, sides, reduceShare }) => {
    const { "DDP fp32": fp32, "DDP bf16": bf16, ranks: many, "one process": one, "one rank": single } = sides;
    const ddp = bf16 !== undefined && bf16.imagesPerSecond > fp32.imagesPerSecond ? bf16 : fp32;
    const speed = ({ imagesPerSecond, precision }: Measured) => `${imagesPerSecond.toFixed(0)} ${precision}`;
    const over = (other: Measured, times = 1) => (many.imagesPerSecond / other.imagesPerSecond / times).toFixed(2);
    return [
      ...[
        model,
        stage,
        String(batch),
        ...[ddp, many, one, single].map(speed),
        over(ddp),
        over(one),
        over(single, ranks),
      ],
      ...[`${(100 * reduceShare).toFixed(1)} %`],
      ...[ddp, many, single].map(({ peakRssBytes }) => (peakRssBytes / 2 ** 20).toFixed(0)),
    ];
  });
  return markdownTable(header, rows, 2);
}
