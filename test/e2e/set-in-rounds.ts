/**
 * A set of models for the browser page whose policy decides in rounds. Its weights are drawn: what the page says is held against
 * what the command line says, not against the truth.
 */
import { cpSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { SetDescription } from "../../demo/description.ts";
import { type GraphOptions, graphOf, imageInput, roundInput } from "../../src/export/graph.ts";
import { metadataOf } from "../../src/export/metadata.ts";
import { encodeOnnx } from "../../src/formats/onnx.ts";
import type { StateDict } from "../../src/formats/safetensors.ts";
import { openExported } from "../../src/inference/exported.ts";
import type { NetworkName } from "../../src/models/networks.ts";
import { findModel } from "../../src/models/registry.ts";
import { declare } from "../../src/nn/declare.ts";
import { randomState } from "../export/random-state.ts";
import { savedConfig as config } from "../run/example.ts";

/** At which its drawn classifier is sure of some pictures and not of others. */
const temperature = 0.036;
const model = findModel({ model: "R8_Scenes", rounds: 3, policy_head: "map" });

/** Writes it into the new folder `to`; the rest is as in the set `like`. */
export function writeSetInRounds(to: string, like: string): SetDescription {
  mkdirSync(to);
  const run = { ...openExported(like).description, rounds: model.rounds, fill: "lr" as const };
  const classifier = model.classifier(run.classes.length);
  const { size, channels } = model.policyInput;
  const networks = new Map<NetworkName, StateDict>([
    ["agent", randomState({ declaration: declare(model.policy, size, channels) }, 1)],
    ["resnet_hr", randomState({ declaration: declare(classifier, size) }, 1)],
  ]);
  const write = (name: NetworkName, file: string, rest: Pick<GraphOptions, "network" | "input" | "output">) => {
    const confidence = { temperature, fill: run.fill, tta: false };
    const metadata = metadataOf({
      checkpoint: { config, networks },
      name,
      description: run,
      calibrated: undefined,
      confidence,
    });
    const graph = graphOf({ state: networks.get(name)!, imageSize: size, ...rest });
    writeFileSync(join(to, file), encodeOnnx(graph, { producer: "test", producerVersion: "0", metadata }));
  };
  write("agent", "policy.onnx", { network: model.policy, input: roundInput(3), output: "probabilities" });
  write("resnet_hr", "classifier.onnx", { network: classifier, input: imageInput(3), output: "logits" });
  const old = JSON.parse(readFileSync(join(like, "model.json"), "utf8")) as SetDescription;
  const samples = old.samples.slice(0, 4);
  for (const { file } of samples) cpSync(join(like, file), join(to, file));
  const { checkpoint } = openExported(to);
  const own = {
    title: "In rounds",
    checkpoint,
    fill: run.fill,
    rounds: run.rounds,
    temperature,
    samples,
    evaluation: undefined,
  };
  const description: SetDescription = { ...old, ...own };
  writeFileSync(join(to, "model.json"), JSON.stringify(description));
  return description;
}
