/**
 * What bf16 changes in a trained run: its accuracy on the test set in fp32 and in bf16, and how often both say the same.
 *
 *     npx tsx bench/agreement.ts --load runs/cifar10-cpu/finetune --data_dir data/cifar10
 */
import { parseArgs } from "node:util";
import { openCheckpoint } from "../src/checkpoints/open-checkpoint.ts";
import { openDataFor } from "../src/data/open.ts";
import { modelOf } from "../src/inference/describe-run.ts";
import { openPredictor } from "../src/inference/open-run.ts";
import type { Predicted } from "../src/inference/opened-run.ts";

const batchSize = 500;

const { values } = parseArgs({ options: { load: { type: "string" }, data_dir: { type: "string" } } });
const { load = "", data_dir } = values;
const [exact, rounded] = await Promise.all(
  (["fp32", "bf16"] as const).map((precision) => openPredictor(load, { precision })),
);
const { test } = await openDataFor(modelOf(openCheckpoint(load), {}), { data_dir, seed: 1 });
const { length, imageSize, labels } = test;
const counts = { fp32: 0, bf16: 0, sameClass: 0, sameMask: 0, sameBits: 0 };
for (let first = 0; first < length; first += batchSize) {
  const indices = Uint32Array.from({ length: Math.min(batchSize, length - first) }, (_, i) => first + i);
  const bytes = new Uint8Array(indices.length * imageSize * imageSize * 3);
  await test.read(indices, bytes);
  const [a, b] = [await exact.predict(bytes), await rounded.predict(bytes)];
  for (const i of indices.keys()) compare(i, labels[first + i], a, b);
}
const { patches } = exact.model.grid;
const share = (count: number, of = length) => Number((count / of).toFixed(4));
const shares = {
  images: length,
  accuracy: { fp32: share(counts.fp32), bf16: share(counts.bf16) },
  same: {
    class: share(counts.sameClass),
    mask: share(counts.sameMask),
    bits: share(counts.sameBits, length * patches),
  },
};
process.stdout.write(`${JSON.stringify(shares)}\n`);

function compare(i: number, label: number, a: Predicted, b: Predicted): void {
  const [inFp32, inBf16] = [classOf(a, i), classOf(b, i)];
  counts.fp32 += Number(inFp32 === label);
  counts.bf16 += Number(inBf16 === label);
  counts.sameClass += Number(inFp32 === inBf16);
  const [first, second] = [maskOf(a, i), maskOf(b, i)];
  const bits = first.reduce((sum, bit, k) => sum + Number(bit === second[k]), 0);
  counts.sameBits += bits;
  counts.sameMask += Number(bits === first.length);
}

function classOf({ classes }: Predicted, i: number): number {
  const count = exact.classes.length;
  const one = classes.subarray(i * count, (i + 1) * count);
  return one.indexOf(Math.max(...one));
}

function maskOf({ mask }: Predicted, i: number): Uint8Array {
  const { patches } = exact.model.grid;
  return mask.subarray(i * patches, (i + 1) * patches);
}
