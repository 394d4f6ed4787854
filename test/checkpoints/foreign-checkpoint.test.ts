import { execFileSync } from "node:child_process";
import { copyFileSync, cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { beforeEach, describe, expect, it } from "vitest";
import type { Checkpoint } from "../../src/checkpoints/checkpoint.ts";
import { convertCheckpoint, listNetworks } from "../../src/checkpoints/convert-checkpoint.ts";
import { networkOf, openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { asFloat32, encodeSafetensors, float32Tensor, type StateDict } from "../../src/formats/safetensors.ts";
import { readTorchFile } from "../../src/formats/torch-file.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { refusal } from "../refusal.ts";
import { config, save } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

const at = (name: string) => join(folder, name);
/** Written by scripts/fixtures/make-torch-files.py: networks whose numbers count up. */
const fixture = (name: string) => fileURLToPath(new URL(`../formats/fixtures/torch/${name}`, import.meta.url));

function values(state: StateDict | undefined, name: string): number[] {
  return [...asFloat32(state!.get(name)!)];
}

function keys({ networks }: Checkpoint): Record<string, string[]> {
  return Object.fromEntries([...networks].map(([name, state]) => [name, [...state.keys()]]));
}

/** A run with one checkpoint, `ckpt_E_1_A_0.500_R_0.25`. */
function makeRun(): string {
  const run = RunFolder.create(at("run"), config);
  run.save(save(1, true));
  run.close();
  return at("run");
}

describe("openCheckpoint on a file", () => {
  it("reads the authors' dictionary of policy and classifier, without the value head", () => {
    const checkpoint = openCheckpoint(fixture("ckpt_E_2_A_0.643_R_0.25"));
    expect(keys(checkpoint)).toEqual({
      agent: ["features.conv1.weight", "logit.weight", "bn1.num_batches_tracked"],
      resnet_hr: ["conv1.weight", "fc.weight", "bn1.num_batches_tracked"],
    });
    expect(values(networkOf(checkpoint, "agent"), "logit.weight")).toEqual([12, 13]);
    expect(values(networkOf(checkpoint, "resnet_hr"), "conv1.weight")).toEqual([20, 21]);
    expect(networkOf(checkpoint, "resnet_lr")).toBeUndefined();
    expect(checkpoint.progress).toEqual({ epoch: 2, acc: Math.fround(0.643), reward: 0.25 });
    expect(checkpoint.config.options).toEqual({});
  });

  it("reads one of the older stream whose names begin with module.", () => {
    const checkpoint = openCheckpoint(fixture("pretrain-legacy.t7"));
    expect(keys(checkpoint)).toEqual({ agent: ["features.conv1.weight", "logit.weight", "bn1.num_batches_tracked"] });
    expect(values(networkOf(checkpoint, "agent"), "features.conv1.weight")).toEqual([10, 11]);
  });

  it("gives a classifier's state_dict, or a bare one, to whoever asks for a network", () => {
    const classifier = openCheckpoint(fixture("classifier.pth"));
    expect(values(networkOf(classifier, "resnet_hr"), "fc.weight")).toEqual([22, 23]);
    expect(networkOf(classifier, "resnet_lr")).toBe(networkOf(classifier, "resnet_hr"));
    const bare = openCheckpoint(fixture("bare.pth"));
    expect([...networkOf(bare, "resnet_hr")!.keys()].slice(0, 3)).toEqual(["0.weight", "0.bias", "1.weight"]);
    expect(networkOf(bare, "agent")).toBe(networkOf(bare, "resnet_hr"));
  });

  it("reads a .safetensors file", () => {
    const state: StateDict = new Map([["module.fc.bias", float32Tensor([1], Float32Array.of(3))]]);
    writeFileSync(at("own.safetensors"), encodeSafetensors(state));
    expect(values(networkOf(openCheckpoint(at("own.safetensors")), "agent"), "fc.bias")).toEqual([3]);
  });

  it("says what is wrong with any other", () => {
    writeFileSync(at("text"), "no checkpoint");
    expect(refusal(() => openCheckpoint(at("text"))).message).toMatch(/text: must be a file of torch\.save: /);
    expect(refusal(() => openCheckpoint(fixture("model-legacy.pth"))).exitCode).toBe(4);
  });
});

describe("convertCheckpoint", () => {
  it("writes a run as the authors' dictionary, with the numbers of its test, and reads it again", () => {
    convertCheckpoint(makeRun(), at("out.pth"));
    const dictionary = readTorchFile(readFileSync(at("out.pth")), "out") as ReadonlyMap<string, unknown>;
    expect([...dictionary.keys()]).toEqual(["agent", "resnet_hr", "epoch", "acc", "reward"]);
    expect(dictionary.get("epoch")).toBe(1);
    expect(dictionary.get("acc")).toEqual(float32Tensor([], Float32Array.of(0.5)));
    expect(openCheckpoint(at("out.pth"))).toMatchObject({
      networks: save(1).networks,
      progress: { epoch: 1, acc: 0.5, reward: 0.25 },
    });
  });

  it("finds the numbers whatever the folder is called, and only the epoch where there was no test", () => {
    const run = makeRun();
    convertCheckpoint(join(run, "last"), at("last.pth"));
    expect(openCheckpoint(at("last.pth")).progress).toEqual({ epoch: 1, acc: 0.5, reward: 0.25 });
    cpSync(join(run, "last"), at("sent"), { recursive: true, dereference: true });
    convertCheckpoint(at("sent"), at("sent.pth"));
    expect(openCheckpoint(at("sent.pth")).progress).toEqual({ epoch: 1, acc: 0.5, reward: 0.25 });
    const untested = RunFolder.create(at("untested"), config);
    untested.save({ ...save(2), name: "ckpt_E_2", progress: { epoch: 2, step: 0 } });
    untested.close();
    convertCheckpoint(at("untested"), at("untested.pth"));
    expect(openCheckpoint(at("untested.pth")).progress).toEqual({ epoch: 2 });
  });

  it("calls a classifier that was trained alone state_dict", () => {
    const run = RunFolder.create(at("hr"), config);
    run.save({ ...save(1, true), networks: new Map([["resnet_hr", save(1).networks.get("agent")!]]) });
    run.close();
    convertCheckpoint(at("hr"), at("hr.pth"));
    expect([...openCheckpoint(at("hr.pth")).networks.keys()]).toEqual(["state_dict"]);
  });

  it("writes one network as .safetensors and as a bare state dict", () => {
    const run = makeRun();
    const agent = save(1).networks.get("agent");
    for (const name of ["agent.safetensors", "agent.pt"]) {
      expect(convertCheckpoint(run, at(name), { network: "agent" }).map((one) => one.name)).toEqual(["agent"]);
      expect(openCheckpoint(at(name)).networks).toEqual(new Map([["state_dict", agent]]));
    }
    convertCheckpoint(at("agent.safetensors"), at("again.pth")); // a bare one stays bare
    expect(readTorchFile(readFileSync(at("again.pth")), "again")).toEqual(agent);
  });

  it("modernizes a file of the older stream", () => {
    convertCheckpoint(fixture("pretrain-legacy.t7"), at("new.pth"));
    const [before, after] = [openCheckpoint(fixture("pretrain-legacy.t7")), openCheckpoint(at("new.pth"))];
    expect({ ...after, path: "" }).toEqual({ ...before, path: "" });
  });

  it("refuses an ending, a network and a file that is there", () => {
    const run = makeRun();
    writeFileSync(at("there.pth"), "");
    const message = (to: string, network?: string) =>
      refusal(() => convertCheckpoint(run, at(to), { network })).message;
    expect(message("out.onnx")).toBe(`${at("out.onnx")}: must end in .safetensors, .pth or .pt, got .onnx`);
    expect(message("out.safetensors")).toBe("--network: must be agent or resnet_hr, got nothing");
    expect(message("out.pth", "resnet_lr")).toBe("--network: must be agent or resnet_hr, got resnet_lr");
    expect(message("there.pth")).toBe(
      `${at("there.pth")}: must not exist yet; give another name, or --force to replace it`,
    );
    convertCheckpoint(run, at("there.pth"), { force: true });
    expect(openCheckpoint(at("there.pth")).networks.size).toBe(2);
    execFileSync("mkfifo", [at("pipe.pth")]);
    expect(refusal(() => convertCheckpoint(run, at("pipe.pth"), { force: true })).message).toBe(
      `${at("pipe.pth")}: must not be a pipe or a device; give the name of a file`,
    );
  });
});

describe("listNetworks", () => {
  it("lists names, types, shapes and totals", () => {
    copyFileSync(fixture("classifier.pth"), at("renamed"));
    expect(listNetworks(openCheckpoint(at("renamed")))).toEqual([
      {
        name: "state_dict",
        tensors: [
          { name: "conv1.weight", dtype: "F32", shape: [2] },
          { name: "fc.weight", dtype: "F32", shape: [2] },
          { name: "bn1.num_batches_tracked", dtype: "I64", shape: [] },
        ],
        elements: 5,
        bytes: 24,
      },
    ]);
  });
});
