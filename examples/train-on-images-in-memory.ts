// A whole program, for images that it has in memory: trains a classifier and a policy, evaluates them, and asks about an image.
import { consoleReporter, countPatches, evaluateRun, MemoryDataset, openPredictor, stopOn, train } from "patchdrop";

const size = 32;
const classes = ["left", "right"];

/** Grey images with a light square in the left half (class 0) or in the right one (class 1). */
function squares(count: number): { labels: Int32Array; images: Uint8Array } {
  const labels = Int32Array.from({ length: count }, (_, i) => i % 2);
  const images = new Uint8Array(count * size * size * 3).fill(100);
  for (const [i, label] of labels.entries()) {
    const left = 2 + 16 * label + (i % 5);
    for (let row = 8; row < 16; row++) {
      const first = ((i * size + row + (i % 7)) * size + left) * 3;
      images.fill(240, first, first + 8 * 3);
    }
  }
  return { labels, images };
}

const normalization = { mean: [0.4, 0.4, 0.4], std: [0.2, 0.2, 0.2] };
// Not mirrored: that would make one class the other.
const about = { name: "squares", classes, imageSize: size, normalization, augmented: false };
const data = {
  train: new MemoryDataset({ ...about, ...squares(96) }),
  test: new MemoryDataset({ ...about, ...squares(24) }),
};

// After an hour a training saves and returns, and the other calls throw `Stopped`.
const reporter = stopOn(AbortSignal.timeout(3_600_000), consoleReporter());
// A small network for pictures of 32 × 32 pixels, to be quick.
const common = { model: "R8_Scenes", batch_size: 16, max_epochs: 3 };
const whole = await train("classifier_training", { ...common, cv_dir: "runs/hr" }, { data, reporter });
const policy = { ...common, cv_dir: "runs/policy", ckpt_hr_cl: whole.run, curriculum: false };
const { run: load } = await train("pretrain", policy, { data, reporter });

const { rows } = await evaluateRun({ load }, reporter, { data });
for (const { name, accuracy, patches } of rows) {
  console.log(`${name}: ${(100 * accuracy).toFixed(1)} % with ${patches.toFixed(1)} patches`);
}

const run = await openPredictor(load);
const said = await run.predict(squares(1).images);
const best = said.classes.indexOf(Math.max(...said.classes));
console.log(`it is ${run.classes[best]}, from ${countPatches(said.mask)} of ${said.mask.length} patches`);
await run.free();
