/** What is taken from a PyTorch file as a checkpoint, and under which names: files of this program's own writer, worked out by hand. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { convertCheckpoint } from "../../src/checkpoints/convert-checkpoint.ts";
import { isBare, readForeignCheckpoint, referenceDictionary } from "../../src/checkpoints/foreign-checkpoint.ts";
import type { JsonObject } from "../../src/files/json.ts";
import {
  decodeSafetensors,
  encodeSafetensors,
  float32Tensor,
  type StateDict,
  type TensorData,
} from "../../src/formats/safetensors.ts";
import { type TorchTree, writeTorchFile } from "../../src/formats/torch-writer.ts";
import { refusal } from "../refusal.ts";
import { savedConfig } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

const at = (name: string) => join(folder, name);
const tensor = (value: number) => float32Tensor([1], Float32Array.of(value));
const dictionary = (entries: Record<string, TorchTree>) => new Map(Object.entries(entries));
const weights = (...names: string[]): StateDict => new Map(names.map((name, i) => [name, tensor(i)]));

/** What is read of a file that holds `tree`. */
function read(tree: TorchTree) {
  writeFileSync(at("file.pth"), writeTorchFile(tree));
  return readForeignCheckpoint(at("file.pth"));
}

describe("the networks of a file", () => {
  it("are the reference's, in its order, and nothing else", () => {
    const tree = dictionary({
      resnet_lr: weights("c"),
      other: weights("x"),
      resnet_hr: weights("b"),
      agent: weights("a"),
    });
    expect(read(tree).networks).toEqual(
      new Map([
        ["agent", weights("a")],
        ["resnet_hr", weights("b")],
        ["resnet_lr", weights("c")],
      ]),
    );
    expect([...read(tree).networks.keys()]).toEqual(["agent", "resnet_hr", "resnet_lr"]);
  });

  it("belong to a run of which nothing is known", () => {
    const { config: unknown, optimizer } = read(weights("w"));
    expect(optimizer).toEqual(new Map());
    expect(unknown).toEqual({
      format: 1,
      stage: "unknown",
      options: {},
      versions: {},
      dataset: { name: "unknown", fingerprint: "unknown" },
      created: "unknown",
    });
  });

  it("lose the prefix module. where every name has it", () => {
    expect([...read(weights("module.a", "module.b")).networks.get("state_dict")!.keys()]).toEqual(["a", "b"]);
    expect([...read(weights("module.a", "b")).networks.get("state_dict")!.keys()]).toEqual(["module.a", "b"]);
    expect([...read(weights("a.module.", "b.module.")).networks.get("state_dict")!.keys()]).toEqual([
      "a.module.",
      "b.module.",
    ]);
  });

  it.each([
    ["torch.compile", ["_orig_mod.a", "_orig_mod.b.c"], ["a", "b.c"]],
    ["DataParallel in torch.compile", ["_orig_mod.module.a", "_orig_mod.module.b"], ["a", "b"]],
    ["torch.compile in DataParallel", ["module._orig_mod.a", "module._orig_mod.b"], ["a", "b"]],
    ["Lightning around a class of one's own", ["model.net.backbone.a", "model.net.backbone.b"], ["a", "b"]],
    ["a network beside another", ["backbone.a", "head.b"], ["backbone.a", "head.b"]],
    ["a network beside another in torch.compile", ["_orig_mod.net.a", "_orig_mod.head.b"], ["net.a", "head.b"]],
    ["a name that is a prefix and no more", ["net.net.", "net.net.a"], ["net.", "net.a"]],
    ["a name that only looks like one", ["network.a", "network.b"], ["network.a", "network.b"]],
  ])("lose the prefixes of %s where every name has them", (_, given, expected) => {
    expect(read(weights(...given)).networks.get("state_dict")).toEqual(weights(...expected));
  });

  it("are the only state dict of a dictionary, whatever its name", () => {
    const optimizer = dictionary({ state: dictionary({ 0: weights("exp_avg") }) });
    const { networks, progress } = read(dictionary({ model_state: weights("model.w"), epoch: 3, optimizer }));
    expect([networks, progress]).toEqual([new Map([["state_dict", weights("w")]]), { epoch: 3 }]);
  });

  it.each<[string, Record<string, TorchTree>, string[]]>([
    ["the weights", { model: weights("w"), model_ema: weights("e"), "EMA.old": weights("f") }, ["model_ema, EMA.old"]],
    ["a state_dict", { state_dict_ema: weights("e"), state_dict: weights("w") }, ["state_dict_ema"]],
    ["themselves alone", { ema: weights("w") }, []],
    ["a name that holds the letters", { schema: weights("w") }, []],
  ])("are never averages beside %s, of which a note tells", (_, entries, passedOver) => {
    writeFileSync(at("file.pth"), writeTorchFile(dictionary(entries)));
    const notes: string[] = [];
    const { networks } = readForeignCheckpoint(at("file.pth"), (text) => notes.push(text));
    expect(networks).toEqual(new Map([["state_dict", weights("w")]]));
    expect(notes).toEqual(passedOver.map((names) => `${at("file.pth")}: averaged weights are passed over: ${names}`));
  });

  it("are asked for where a dictionary has several under other names", () => {
    const error = refusal(() => read(dictionary({ model: weights("w"), teacher: weights("w"), epoch: 3 })));
    expect([error.kind, error.message]).toEqual([
      "input",
      `${at("file.pth")}: must hold one state dict, got several: model, teacher; ` +
        'save one of them alone: torch.save(torch.load(FILE)["model"], "model.pth")',
    ]);
  });

  it("lose the value head, under the prefix too", () => {
    expect([
      ...read(weights("vnet.w", "a", "my.vnet.w"))
        .networks.get("state_dict")!
        .keys(),
    ]).toEqual(["a", "my.vnet.w"]);
    expect([...read(weights("module.vnet.w", "module.a")).networks.get("state_dict")!.keys()]).toEqual(["a"]);
  });

  it("are none where an entry of theirs is no tensor, or there is no entry", () => {
    for (const agent of [dictionary({ w: tensor(1), epoch: 3 }), dictionary({})]) {
      expect([...read(dictionary({ agent, resnet_hr: weights("w") })).networks.keys()]).toEqual(["resnet_hr"]);
    }
  });

  it("must be there, and the file's first ten keys are named where they are not", () => {
    const rule = `${at("file.pth")}: must be a state dict, or a dictionary with one as agent, resnet_hr, resnet_lr, state_dict or any other name`;
    const next = "save model.state_dict()";
    expect(refusal(() => read(3)).message).toBe(`${rule}, got neither; ${next}`);
    expect(refusal(() => read(new Map())).message).toBe(`${rule}, got neither; ${next}`);
    const eleven = dictionary(Object.fromEntries("abcdefghijk".split("").map((name) => [name, 1])));
    const error = refusal(() => read(eleven));
    expect([error.kind, error.message]).toEqual(["input", `${rule}, got keys a, b, c, d, e, f, g, h, i, j; ${next}`]);
  });
});

describe("the numbers of a file", () => {
  const bytesOf = (view: Float32Array | Float64Array | BigInt64Array | Int32Array) =>
    new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  const scalar = (dtype: TensorData["dtype"], shape: number[], values: Parameters<typeof bytesOf>[0]): TensorData => ({
    dtype,
    shape,
    data: bytesOf(values),
  });

  it.each<[string, TorchTree, number | undefined]>([
    ["a number", 0.25, 0.25],
    ["a float32 tensor", scalar("F32", [], Float32Array.of(0.25)), 0.25],
    ["a float64 tensor", scalar("F64", [1], Float64Array.of(0.1)), 0.1],
    ["an int64 tensor", scalar("I64", [1, 1], BigInt64Array.of(-7n)), -7],
    ["an int32 tensor, which nobody writes", scalar("I32", [], Int32Array.of(5)), undefined],
    ["a tensor of two elements", scalar("F32", [2], Float32Array.of(1, 2)), undefined],
    ["a number that is not finite", scalar("F32", [], Float32Array.of(Number.NaN)), undefined],
    ["a dictionary", weights("w"), undefined],
  ])("are read from %s", (_, acc, expected) => {
    const { progress } = read(dictionary({ agent: weights("w"), acc }));
    expect(progress).toEqual(expected === undefined ? {} : { acc: expected });
  });

  it("are epoch, acc and reward", () => {
    const said = { epoch: 3, acc: 0.5, reward: -1, loss: 2 };
    expect(read(dictionary({ agent: weights("w"), ...said })).progress).toEqual({ epoch: 3, acc: 0.5, reward: -1 });
  });
});

describe("a .safetensors file", () => {
  it("is one network without a name", () => {
    writeFileSync(at("own.safetensors"), encodeSafetensors(weights("module.w")));
    const checkpoint = readForeignCheckpoint(at("own.safetensors"));
    expect([checkpoint.networks, checkpoint.progress]).toEqual([new Map([["state_dict", weights("w")]]), {}]);
    expect(isBare(checkpoint)).toBe(true);
  });

  it("that cannot be read is the system's fault", () => {
    mkdirSync(at("folder.safetensors"));
    const error = refusal(() => readForeignCheckpoint(at("folder.safetensors")));
    expect([error.kind, error.message]).toEqual([
      "system",
      expect.stringMatching(/folder\.safetensors: could not be read \(EISDIR: .*\); check the disk and the path$/),
    ]);
  });
});

describe("isBare", () => {
  it("is a state dict alone: no other name, no number, no run", () => {
    expect(isBare(read(weights("w")))).toBe(true);
    expect(isBare(read(dictionary({ state_dict: weights("w") })))).toBe(true);
    expect(isBare(read(dictionary({ state_dict: weights("w"), epoch: 1 })))).toBe(false);
    expect(isBare(read(dictionary({ agent: weights("w") })))).toBe(false);
    expect(isBare({ ...read(weights("w")), config: savedConfig })).toBe(false);
  });
});

describe("referenceDictionary", () => {
  it("keeps names and numbers of a file", () => {
    const tree = dictionary({ agent: weights("a"), resnet_hr: weights("b"), epoch: 3, acc: 0.5 });
    expect(referenceDictionary(read(tree))).toEqual(
      new Map<string, TorchTree>([
        ["agent", weights("a")],
        ["resnet_hr", weights("b")],
        ["epoch", 3],
        ["acc", float32Tensor([], Float32Array.of(0.5))],
      ]),
    );
  });

  it("calls a policy or a low-resolution classifier that is alone by its name, and a high-resolution one state_dict", () => {
    expect([...referenceDictionary(read(dictionary({ agent: weights("a") }))).keys()]).toEqual(["agent"]);
    expect([...referenceDictionary(read(dictionary({ resnet_hr: weights("a") }))).keys()]).toEqual(["state_dict"]);
    // Called state_dict, it would be taken for one of high resolution.
    expect([...referenceDictionary(read(dictionary({ resnet_lr: weights("a") }))).keys()]).toEqual(["resnet_lr"]);
    const two = dictionary({ resnet_hr: weights("a"), resnet_lr: weights("b") });
    expect([...referenceDictionary(read(two)).keys()]).toEqual(["resnet_hr", "resnet_lr"]);
  });

  it.each<[string, JsonObject, TorchTree[]]>([
    ["a test", { epoch: 12, step: 0, tested: { accuracy: 0.125, reward: -0.25 } }, [12, 0.125, -0.25]],
    ["the test of a classifier, which earns nothing", { epoch: 3, step: 0, tested: { accuracy: 0.5 } }, [3, 0.5, 0]],
    ["no test", { epoch: 2, step: 0 }, [2]],
    ["nothing", {}, []],
  ])("takes the numbers of a run's own checkpoint from what it says of %s", (_, progress, numbers) => {
    const saved = { ...read(weights("w")), progress, config: savedConfig };
    const [epoch, ...rest] = numbers;
    const scalars = rest.map((value) => float32Tensor([], Float32Array.of(Number(value))));
    const [, ...found] = referenceDictionary(saved).values();
    expect(found).toEqual(epoch === undefined ? [] : [epoch, ...scalars]);
  });
});

describe("convertCheckpoint", () => {
  it("marks a .safetensors file as PyTorch's, and says what it wrote", () => {
    writeFileSync(at("two.pth"), writeTorchFile(dictionary({ agent: weights("a", "b"), resnet_hr: weights("c") })));
    const [listed, ...more] = convertCheckpoint(at("two.pth"), at("one.safetensors"), { network: "agent" });
    expect(decodeSafetensors(readFileSync(at("one.safetensors")), "one").metadata).toEqual(new Map([["format", "pt"]]));
    expect([listed.name, listed.elements, listed.bytes, more]).toEqual(["agent", 2, 8, []]);
    const both = convertCheckpoint(at("two.pth"), at("again.pt"));
    expect(both.map(({ name, elements }) => [name, elements])).toEqual([
      ["agent", 2],
      ["resnet_hr", 1],
    ]);
  });

  it("counts the elements of a tensor as the product of its sides", () => {
    const state: StateDict = new Map([["w", float32Tensor([2, 3], new Float32Array(6))]]);
    writeFileSync(at("one.pth"), writeTorchFile(state));
    expect(convertCheckpoint(at("one.pth"), at("one.safetensors"))).toEqual([
      { name: "state_dict", tensors: [{ name: "w", dtype: "F32", shape: [2, 3] }], elements: 6, bytes: 24 },
    ]);
  });

  it("takes the only network of a dictionary for .safetensors", () => {
    writeFileSync(at("one.pth"), writeTorchFile(dictionary({ agent: weights("a"), epoch: 1 })));
    expect(convertCheckpoint(at("one.pth"), at("a.safetensors")).map(({ name }) => name)).toEqual(["agent"]);
  });

  it("refuses a file without an ending, and one that is there, as the user's fault", () => {
    writeFileSync(at("one.pth"), writeTorchFile(weights("w")));
    const ending = refusal(() => convertCheckpoint(at("one.pth"), at("none")));
    expect([ending.kind, ending.message]).toEqual([
      "usage",
      `${at("none")}: must end in .safetensors, .pth or .pt, got no ending`,
    ]);
    expect(refusal(() => convertCheckpoint(at("one.pth"), at("one.pth"))).kind).toBe("usage");
    const network = refusal(() => convertCheckpoint(at("one.pth"), at("new.pth"), { network: "agent" }));
    expect([network.kind, network.message]).toEqual(["usage", "--network: must be state_dict, got agent"]);
  });
});
