// A classifier and a policy for images that a program has in memory: node train-on-images-in-memory.mjs runs
import { MemoryDataset, parseOptions, silentReporter, train } from "patchdrop";

const [runs] = process.argv.slice(2);
const size = 32;

/** Grey images with a light square in the left half (class 0) or in the right one (class 1). */
function squares(count) {
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  const images = new Uint8Array(count * size * size * 3).fill(100);
  for (const [i, label] of labels.entries()) {
    const left = 2 + 16 * label + (i % 5);
    for (let row = 8; row < 16; row++) {
      const first = ((i * size + row + (i % 7)) * size + left) * 3;
      images.fill(240, first, first + 8 * 3);
    }
  }
  const normalization = { mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2] };
  // Not mirrored: that would make one class the other.
  return new MemoryDataset({
    name: "squares",
    classes: ["left", "right"],
    imageSize: size,
    labels,
    images,
    normalization,
    augmented: false,
  });
}

const data = { train: squares(280), test: squares(70) };
const reporter = { ...silentReporter, note: (text) => console.error(text) };
const common = { model: "R8_Scenes", batch_size: 32, max_epochs: 3 };
const stage = (name, options) => train(name, parseOptions(name, { ...common, ...options }), { data, reporter });
const { test } = await stage("classifier_training", { cv_dir: `${runs}/hr` });
const { run, test: masked } = await stage("pretrain", {
  cv_dir: `${runs}/policy`,
  ckpt_hr_cl: `${runs}/hr`,
  curriculum: false,
});
const percent = (share) => `${(100 * share).toFixed(1)} %`;
console.log(
  `${percent(test.accuracy)} of whole images; ${run}: ${percent(masked.accuracy)} with ${masked.sparsity.toFixed(1)} patches`,
);
