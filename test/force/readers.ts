/** All readers of what others wrote, each with whole inputs to damage. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { PassThrough } from "node:stream";
import { fileURLToPath } from "node:url";
import sharp from "sharp";
import { readGeoreference } from "../../src/acquire/georeference.ts";
import { Ledger } from "../../src/acquire/ledger.ts";
import { openSource } from "../../src/acquire/open-source.ts";
import { readState, withChecksum } from "../../src/checkpoints/checkpoint.ts";
import { readForeignCheckpoint } from "../../src/checkpoints/foreign-checkpoint.ts";
import { configName, readRunConfig } from "../../src/checkpoints/saved-checkpoints.ts";
import { readChoice, writeChoice } from "../../src/checkpoints/stored-choice.ts";
import { listCsv } from "../../src/data/csv-list.ts";
import { decodePixels } from "../../src/data/decode.ts";
import { readBoxes } from "../../src/data/fmow/annotation.ts";
import { PatchDropError } from "../../src/errors.ts";
import { readExperiment } from "../../src/experiment/experiment-file.ts";
import { assertUnlocked, takeLock } from "../../src/files/lock.ts";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import { readOnnxMetadata } from "../../src/formats/onnx-metadata.ts";
import { readPickle } from "../../src/formats/pickle.ts";
import { decodeSafetensors, encodeSafetensors } from "../../src/formats/safetensors.ts";
import { readStoredZip, writeStoredZip } from "../../src/formats/stored-zip.ts";
import { Tiff } from "../../src/formats/tiff.ts";
import { readTileLayout } from "../../src/formats/tiff-layout.ts";
import { decodeTile } from "../../src/formats/tiff-tiles.ts";
import { readTorchFile } from "../../src/formats/torch-file.ts";
import { jsonLines } from "../../src/predict/lines.ts";
import { openResults } from "../../src/predict/results.ts";
import { readMetrics } from "../../src/run/metric-log.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { unzip } from "../../src/setup/unzip.ts";
import { silentReporter } from "../../src/utils/reporter.ts";
import { blockScene, writeScene } from "../acquire/scenes.ts";
import { inMemory } from "../formats/in-memory.ts";
import { config, save, state } from "../run/example.ts";
import { zip } from "../setup/zip.ts";

export interface Reader {
  readonly name: string;
  readonly seeds: readonly Uint8Array[];
  /** Puts damaged bytes where a reader comes to them: into an archive, under a checksum. */
  readonly wrap?: (bytes: Buffer) => Uint8Array;
  readonly read: (bytes: Uint8Array) => unknown;
}

const fixtures = fileURLToPath(new URL("../formats/fixtures/", import.meta.url));
const files = (folder: string) => readdirSync(folder).map((name) => new Uint8Array(readFileSync(join(folder, name))));
const textOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("utf8");
const bytesOf = (text: string) => new TextEncoder().encode(text);

/** The readers, which may put files into `folder`. */
export async function makeReaders(folder: string): Promise<Reader[]> {
  const run = join(folder, "run");
  const made = RunFolder.create(run, config);
  made.log({ epoch: 1, split: "train", accuracy: 0.5 });
  made.save(save(1, true));
  made.close();
  return [...inMemoryReaders(), ...runReaders(run), ...fileReaders(folder), ...(await pictureReaders(folder))];
}

function inMemoryReaders(): Reader[] {
  const torch = files(join(fixtures, "torch"));
  const isZip = (bytes: Uint8Array) => bytes[0] === 0x50;
  const pickles = readdirSync(fixtures).filter((name) => name.endsWith(".pkl"));
  const [archive] = torch.filter(isZip);
  const entries = readStoredZip(archive, "archive");
  const inner = [...entries.keys()].find((name) => name.endsWith("data.pkl"));
  if (inner === undefined) throw new Error("the archive has no pickle");
  const box = { ID: 4, box: [1, 2, 3, 4], category: "zoo" };
  return [
    {
      name: "safetensors",
      seeds: [encodeSafetensors(state(1), { format: "pt" })],
      read: (bytes) => decodeSafetensors(bytes, "x"),
    },
    {
      name: "pickle",
      seeds: pickles.map((name) => readFileSync(join(fixtures, name))),
      read: (bytes) => readPickle(bytes, "x"),
    },
    { name: "PyTorch archive", seeds: torch.filter(isZip), read: (bytes) => readTorchFile(bytes, "x") },
    {
      name: "pickle in PyTorch archive",
      seeds: [entries.get(inner) ?? new Uint8Array()],
      wrap: (bytes) => writeStoredZip(new Map([...entries, [inner, bytes]])),
      read: (bytes) => readTorchFile(bytes, "x"),
    },
    {
      name: "older PyTorch file",
      seeds: torch.filter((bytes) => !isZip(bytes)),
      read: (bytes) => readTorchFile(bytes, "x"),
    },
    {
      name: "ONNX metadata",
      seeds: [onnx()],
      read: (bytes) => readOnnxMetadata(bytes, "x"),
    },
    {
      name: "fMoW annotation",
      seeds: [bytesOf(JSON.stringify({ bounding_boxes: [box, { ...box, box: [0.5, 0, 1, 1] }] }))],
      read: (bytes) => readBoxes(textOf(bytes), "x"),
    },
    { name: "TIFF", seeds: files(join(fixtures, "tiff")), read: readTiff },
  ];
}

function onnx(): Uint8Array {
  const metadata = new Map([
    ["patchdrop", JSON.stringify({ format: 1, classes: ["a", "b"] })],
    ["more", "text"],
  ]);
  const [input, output] = ["x", "y"].map((name) => ({ name, shape: ["n", 3] }));
  const nodes = [{ operator: "Relu", inputs: ["x"], output: "y", attributes: {} }];
  const graph = { name: "g", nodes, initializers: [], input, output };
  return encodeOnnx(graph, { producer: "patchdrop", producerVersion: "0", metadata });
}

/** For what throws, by its contract, a reason in one line, which its callers put into an error of theirs. */
function oneReason(error: Error): void {
  if (error.message.includes("\n") || error.message === "") throw error;
}

/** The first tile of each directory, and where the image lies. */
async function readTiff(bytes: Uint8Array): Promise<void> {
  const tiff = await Tiff.open(inMemory(bytes));
  for (const directory of tiff.directories) {
    const layout = await readTileLayout(tiff, directory);
    const [offset, count] = [layout.offsets[0], layout.byteCounts[0]];
    if (offset === undefined || count === undefined) continue;
    await decodeTile(bytes.subarray(offset, offset + count), layout).catch(oneReason);
  }
  const [first] = tiff.directories;
  await readGeoreference(tiff, first, await readTileLayout(tiff, first));
}

/** A file of a run, put back when its reader is done. */
function runReaders(run: string): Reader[] {
  const checkpoint = join(run, "checkpoints", save(1).name);
  const measured = { split: "train", images: 5, accuracy: 0.5, patches: 2 } as const;
  writeChoice(checkpoint, {
    ...{ target: { patches: 2 }, policy: "threshold", threshold: 0.5, dataset: "d", seed: 1 },
    ...{ calibrated: measured, evaluated: measured },
  });
  const release = takeLock(join(run, "run.lock"));
  const lock = readFileSync(join(run, "run.lock"));
  release();
  const reader = (name: string, path: string, read: () => unknown): Reader => {
    const whole = existsSync(path) ? readFileSync(path) : lock;
    const restoring = async (bytes: Uint8Array) => {
      writeFileSync(path, bytes);
      try {
        await read();
      } finally {
        writeFileSync(path, whole);
      }
    };
    return { name, seeds: [whole], read: restoring };
  };
  const summed = (one: Reader): Reader => ({
    ...one,
    name: `${one.name} with a right checksum`,
    wrap: withRightChecksum,
  });
  const stateFile = reader("state.json", join(checkpoint, "state.json"), () => readState(checkpoint));
  const configFile = reader("config.json", join(run, configName), () => readRunConfig(run));
  const choiceFile = reader("choice.json", join(checkpoint, "choice.json"), () => readChoice(checkpoint));
  const logOnly = join(run, "..", "log");
  mkdirSync(logOnly);
  writeFileSync(join(logOnly, "metrics.jsonl"), readFileSync(join(run, "metrics.jsonl")));
  return [
    stateFile,
    summed(stateFile),
    configFile,
    summed(configFile),
    choiceFile,
    summed(choiceFile),
    reader("metrics.jsonl", join(logOnly, "metrics.jsonl"), () => readMetrics(logOnly)),
    reader("run.lock", join(run, "..", "free.lock"), () => assertUnlocked(join(run, "..", "free.lock"))),
  ];
}

/** What no longer is an object is left as it is. */
function withRightChecksum(bytes: Buffer): Uint8Array {
  try {
    const { sha256: _, ...value } = JSON.parse(bytes.toString("utf8"));
    return bytesOf(JSON.stringify(withChecksum(value)));
  } catch {
    return bytes;
  }
}

/** Reads the bytes as a file of this name. */
function asFile(path: string, read: (path: string) => unknown): Reader["read"] {
  return async (bytes) => {
    writeFileSync(path, bytes);
    await read(path);
  };
}

const experiment = `title: two stages
common: { model: R8_Scenes, batch_size: 8, max_epochs: 2 }
stages:
  hr: { stage: classifier_training }
  pretrain: { stage: pretrain, ckpt_hr_cl: hr, beta: 0.1 }
gallery: pretrain
`;
const line = {
  path: "a.png",
  class: "x",
  probability: 1,
  mask: "01",
  patches: 1,
  pixels: 0.5,
  ms: 1,
  checkpoint: "0123",
  settings: "--top 1",
};

function fileReaders(folder: string): Reader[] {
  const list = join(folder, "list");
  mkdirSync(list);
  for (const name of ["a.jpg", "b.jpg", "c.jpg", "test.csv"]) writeFileSync(join(list, name), "0,c.jpg\n");
  const resume = async (out: string) => {
    const place = { format: jsonLines, made: line, stream: new PassThrough(), reporter: silentReporter };
    (await openResults({ out, resume: true }, place)).results.close();
  };
  const unpacked = join(folder, "unpacked");
  const unpack = async (path: string) => {
    try {
      await unzip(path, unpacked, { maxBytes: 2 ** 20 });
    } finally {
      rmSync(unpacked, { recursive: true, force: true });
    }
  };
  return [
    {
      name: "csv list",
      seeds: [bytesOf("label,location\n0,a.jpg\n1,b.jpg\n"), bytesOf('0,"a.jpg"\r\n1,./b.jpg\r\n')],
      read: asFile(join(list, "train.csv"), () => listCsv(list)),
    },
    {
      name: "experiment file",
      seeds: [bytesOf(experiment)],
      read: asFile(join(folder, "x.yaml"), (path) => readExperiment(path, folder)),
    },
    {
      name: "predict's lines",
      seeds: [bytesOf(`${JSON.stringify(line)}\n${JSON.stringify({ ...line, path: "é.png" })}\n`)],
      read: asFile(join(folder, "lines.jsonl"), resume),
    },
    {
      name: "zip archive",
      seeds: [
        zip([
          { name: "a/b", bytes: bytesOf("hello hello") },
          { name: "c", bytes: bytesOf("") },
        ]),
      ],
      read: asFile(join(folder, "x.zip"), unpack),
    },
    {
      name: "checkpoint of another program",
      seeds: files(join(fixtures, "torch")),
      read: asFile(join(folder, "x.pth"), (path) => readForeignCheckpoint(path)),
    },
  ];
}

async function pictureReaders(folder: string): Promise<Reader[]> {
  const { width, height, pixels } = blockScene(48, 40);
  const image = () => sharp(pixels, { raw: { width, height, channels: 3 } });
  const seeds = await Promise.all(
    [
      ...[image().png(), image().jpeg(), image().jpeg({ progressive: true }), image().webp()],
      ...[image().tiff(), image().gif(), image().png({ palette: true }), image().png({ progressive: true })],
    ].map((one) => one.toBuffer()),
  );
  const scene = join(folder, "scene.tif");
  await writeScene(scene, blockScene(96, 64));
  const sizes = { imageSize: 32, lowSize: 8 };
  return [
    {
      name: "picture",
      seeds,
      read: asFile(join(folder, "picture"), (path) => decodePixels(path).catch(oneReason)),
    },
    {
      name: "scene",
      seeds: [readFileSync(scene)],
      read: asFile(join(folder, "x.tif"), async (path) => {
        const source = await openSource(path, sizes, { ledger: new Ledger() });
        try {
          await source.readLow([{ x: 0, y: 0, width: 32, height: 32 }]);
          await source.fetchPatches([{ x: 8, y: 0, width: 8, height: 8 }]).read();
        } finally {
          await source.close();
        }
      }),
    },
  ];
}

/** Why an input was refused must be the user's to hear, in one line a fault; undefined where it is. */
export function faultOf(error: unknown): string | undefined {
  if (!(error instanceof PatchDropError)) return `threw ${error instanceof Error ? error.stack : String(error)}`;
  if (error.kind === "internal") return `a bug by its kind: ${error.message}`;
  return error.faults.length === error.message.split("\n").length ? undefined : `lines break: ${error.message}`;
}
