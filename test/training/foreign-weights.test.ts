/**
 * A classifier as other programs save it, in other number types and under longer names, is the same classifier: evaluated, and
 * to start from, to the last bit. The numbers are such that every type can hold them.
 */
import { writeFileSync } from "node:fs";
import { beforeAll, describe, expect, it } from "vitest";
import { readState } from "../../src/checkpoints/checkpoint.ts";
import { openCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import {
  asFloat32,
  encodeSafetensors,
  float32Tensor,
  type StateDict,
  type TensorData,
} from "../../src/formats/safetensors.ts";
import { type TorchTree, writeTorchFile } from "../../src/formats/torch-writer.ts";
import { evaluate, listener, memoryData, SmallRuns } from "./small-runs.ts";

const runs = new SmallRuns();
const data = memoryData();
let plain: StateDict;

/** The nearest number towards 0 that bfloat16 and binary16 have: 8 bits from 2^-14 on, 0 below. */
function coarse(value: number): number {
  if (Math.abs(value) < 2 ** -14) return 0;
  const step = 2 ** (Math.floor(Math.log2(Math.abs(value))) - 7);
  return Math.trunc(value / step) * step;
}

function float32Bits(value: number): number {
  return new Uint32Array(Float32Array.of(value).buffer)[0];
}

/** The bits of a {@link coarse} number in binary16: its exponent is counted from 15 and not from 127, and 3 bits are zero. */
function halfBits(value: number): number {
  const bits = float32Bits(value);
  const exponent = (bits >>> 23) & 0xff;
  return ((bits >>> 16) & 0x8000) | (exponent === 0 ? 0 : ((exponent - 112) << 10) | ((bits >>> 13) & 0x3ff));
}

const casts: Record<string, (values: Float32Array) => Uint16Array | Float64Array> = {
  F16: (values) => Uint16Array.from(values, halfBits),
  BF16: (values) => Uint16Array.from(values, (value) => float32Bits(value) >>> 16),
  F64: (values) => Float64Array.from(values),
};

/** The state dict with floating tensors of that type, as `model.half().state_dict()` would be. */
function cast(dtype: "F16" | "BF16" | "F64"): StateDict {
  const one = (tensor: TensorData): TensorData => {
    if (tensor.dtype !== "F32") return tensor;
    return { ...tensor, dtype, data: new Uint8Array(casts[dtype](asFloat32(tensor)).buffer) };
  };
  return new Map([...plain].map(([name, tensor]) => [name, one(tensor)]));
}

const prefixed = (prefix: string): StateDict =>
  new Map([...plain].map(([name, tensor]) => [`${prefix}${name}`, tensor]));

beforeAll(async () => {
  await runs.train("classifier_training", "hr", { max_epochs: 2, lr: 0.05 }, { data });
  const trained = openCheckpoint(runs.at("hr")).networks.get("resnet_hr")!;
  plain = new Map(
    [...trained].map(([name, tensor]) => {
      return [name, tensor.dtype === "F32" ? float32Tensor(tensor.shape, asFloat32(tensor).map(coarse)) : tensor];
    }),
  );
  writeFileSync(runs.at("plain.safetensors"), encodeSafetensors(plain));
  await runs.train("pretrain", "from plain", { max_epochs: 1, ckpt_hr_cl: runs.at("plain.safetensors") }, { data });
  await runs.makeFolder();
});

describe("a classifier", () => {
  const evaluated = async (file: string) => {
    const { rows } = await evaluate(runs.at(file), { model: "R8_Scenes", data_dir: runs.at("data") });
    return rows;
  };

  it.each<[string, () => StateDict]>([
    ["half precision", () => cast("F16")],
    ["bfloat16", () => cast("BF16")],
    ["double precision", () => cast("F64")],
    ["a compiled model", () => prefixed("_orig_mod.")],
    ["a compiled model within another class, on several GPUs", () => prefixed("module._orig_mod.net.")],
  ])("of %s is the one of float32", async (what, state) => {
    writeFileSync(runs.at(`${what}.safetensors`), encodeSafetensors(state()));
    const dictionary = new Map<string, TorchTree>(Object.entries({ model: state(), epoch: 3 }));
    writeFileSync(runs.at(`${what}.pth`), writeTorchFile(dictionary));
    const expected = await evaluated("plain.safetensors");
    for (const ending of ["safetensors", "pth"]) expect(await evaluated(`${what}.${ending}`)).toEqual(expected);
    await runs.train("pretrain", what, { max_epochs: 1, ckpt_hr_cl: runs.at(`${what}.pth`) }, { data });
    const files = (run: string) => readState(runs.at(run, "last")).files;
    expect(files(what)).toEqual(files("from plain"));
  });

  it("with a prefix before some of its names is told what is wrong with them", async () => {
    const some = [...plain].map(([name, tensor]) => [name.startsWith("fc.") ? `head.${name}` : name, tensor] as const);
    writeFileSync(runs.at("some.safetensors"), encodeSafetensors(new Map(some)));
    await expect(evaluated("some.safetensors")).rejects.toThrow(
      "got 2 missing, e.g. fc.weight; 2 unknown, e.g. head.fc.weight; 2 names begin with head. or another prefix that the others lack: save all without it",
    );
  });

  it("with an unknown prefix before all of its names is told which", async () => {
    const all = [...plain].map(([name, tensor]) => [`foo.bar.${name}`, tensor] as const);
    writeFileSync(runs.at("all.safetensors"), encodeSafetensors(new Map(all)));
    await expect(evaluated("all.safetensors")).rejects.toThrow(
      /; \d+ names begin with foo\.bar\. or another prefix: save all without it$/,
    );
  });

  it("that merely lacks a tensor, of whose name others end, is not told of prefixes", async () => {
    writeFileSync(runs.at("less.safetensors"), encodeSafetensors(new Map([...plain].slice(1))));
    expect([...plain.keys()][0]).toBe("conv1.weight");
    await expect(evaluated("less.safetensors")).rejects.toThrow(
      "got 1 missing, e.g. conv1.weight; use a checkpoint of this model, or another --model or --arch",
    );
  });

  it("of a file that holds its average too is evaluated without it, and starts without it, and both say so", async () => {
    const average = new Map([["fc.bias", plain.get("fc.bias")!]]);
    const path = runs.at("timm.pth");
    writeFileSync(path, writeTorchFile(new Map(Object.entries({ state_dict: plain, state_dict_ema: average }))));
    const { reporter, notes } = listener();
    const { rows } = await evaluate(path, { model: "R8_Scenes", data_dir: runs.at("data") }, reporter);
    expect(rows).toEqual(await evaluated("plain.safetensors"));
    await runs.train("pretrain", "timm", { max_epochs: 1, ckpt_hr_cl: path }, { data, reporter });
    const said = `${path}: averaged weights are passed over: state_dict_ema`;
    expect(notes.filter((note) => note.includes("averaged"))).toEqual([said, said]);
  });
});
