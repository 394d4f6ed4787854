/**
 * The sets of models that the browser page has from the weights that come with the program: made of models/NAME/ whenever the page is
 * built, so that the same weights are not kept twice. Their ONNX files store weights as halves, which a visitor fetches in half
 * the time. Needs no libtorch; the tests hold them against it.
 */
import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { SetDescription } from "../demo/description.ts";
import type { Checkpoint } from "../src/checkpoints/checkpoint.ts";
import { openCheckpoint, savedNetwork } from "../src/checkpoints/open-checkpoint.ts";
import type { PackagedName } from "../src/checkpoints/packaged.ts";
import { readChoice } from "../src/checkpoints/stored-choice.ts";
import { readConfidence } from "../src/checkpoints/stored-confidence.ts";
import { graphOf, imageInput, roundInput } from "../src/export/graph.ts";
import { metadataOf } from "../src/export/metadata.ts";
import { writeFileAtomic } from "../src/files/atomic.ts";
import { encodeOnnx } from "../src/formats/onnx.ts";
import { withContentHash } from "../src/inference/content-hash.ts";
import { describeRun, modelOf } from "../src/inference/describe-run.ts";
import { openExported, temperatureOf } from "../src/inference/exported.ts";
import { version } from "../src/utils/version.ts";

type Said = Pick<SetDescription, "title" | "about" | "evaluation">;

/** Pictures of AID are Google Earth's, so that none can be handed out. */
const sets: Readonly<Partial<Record<PackagedName, Said>>> = {
  aid: {
    title: "Aerial scenes",
    about:
      "Trained on AID: scenes from above, some hundred metres wide. Its pictures may not be handed out with the page, so bring one of your own.",
    // docs/results.md, "Aerial images in rounds": of the run in 32 bits, with its threshold for four patches.
    evaluation: {
      dataset: "aid",
      split: "test",
      images: 1000,
      rows: [
        { name: "policy, threshold 0.5098", accuracy: 0.945, patches: 4.195 },
        { name: "best fixed mask, same number", accuracy: 0.942, patches: 4.195 },
        { name: "random patches, same number", accuracy: 0.936, patches: 4.195 },
        { name: "one fixed mask, same mean", accuracy: 0.93, patches: 4.19 },
        { name: "how many, by confidence, same mean", accuracy: 0.936, patches: 4.22 },
        { name: "all patches", accuracy: 0.95, patches: 16 },
      ],
    },
  },
};

export const packagedSets = Object.keys(sets) as readonly PackagedName[];

/** Writes demo/models/NAME/ of each; a file that is there as it is to be stays untouched. */
export function writePageModels(): void {
  for (const name of packagedSets) {
    const folder = fileURLToPath(new URL(`../demo/models/${name}/`, import.meta.url));
    mkdirSync(folder, { recursive: true });
    for (const [file, bytes] of modelsOf(name)) writeIfOther(join(folder, file), bytes);
    const description = Buffer.from(`${JSON.stringify(descriptionOf(name, folder), null, 2)}\n`);
    writeIfOther(join(folder, "model.json"), description);
  }
}

function modelsOf(name: PackagedName): Map<string, Uint8Array> {
  const checkpoint = openCheckpoint(`patchdrop:${name}`);
  return new Map([
    ["policy.onnx", onnxOf(checkpoint, "agent")],
    ["classifier.onnx", onnxOf(checkpoint, "resnet_hr")],
  ]);
}

function onnxOf(checkpoint: Checkpoint, name: "agent" | "resnet_hr"): Uint8Array {
  const model = modelOf(checkpoint, {});
  const description = describeRun(checkpoint);
  const { state } = savedNetwork(checkpoint, name);
  const stored = { calibrated: readChoice(checkpoint.path), confidence: readConfidence(checkpoint.path) };
  const metadata = metadataOf({ checkpoint, name, description, ...stored });
  const graph =
    name === "agent"
      ? ({ network: model.policy, input: roundInput(3), output: "probabilities" } as const)
      : ({ network: model.classifier(description.classes.length), input: imageInput(3), output: "logits" } as const);
  const bytes = encodeOnnx(graphOf({ ...graph, state, imageSize: model.imageSize, half: true }), {
    producer: "patchdrop",
    producerVersion: version(),
    metadata,
  });
  return withContentHash(bytes);
}

function descriptionOf(name: PackagedName, folder: string): SetDescription {
  const exported = openExported(folder);
  const { checkpoint, description: own } = exported;
  const { model, variant, imageSize, patchSize, lowSize, transform, normalization, fill, rounds, classes } = own;
  const sizes = { imageSize, patchSize, lowSize };
  const networks = { model: `${model} ${variant}`, checkpoint, ...sizes, transform, ...normalization, fill, rounds };
  return { ...sets[name]!, ...networks, temperature: temperatureOf(exported), classes, samples: [] };
}

/** The build looks at times to see whether the page is out of date. */
function writeIfOther(path: string, bytes: Uint8Array): void {
  if (existsSync(path) && readFileSync(path).equals(bytes)) return;
  writeFileAtomic(path, bytes);
}
