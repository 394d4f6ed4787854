// A classifier and a policy for your own images, in class folders: node train-on-your-images.mjs my-images runs
// R8_Scenes, for pictures of 32 × 32 pixels, is here to be quick: EffLite0 is what suits photographs and aerial pictures.
import { train } from "patchdrop";

const [images, runs] = process.argv.slice(2);
const common = { model: "R8_Scenes", dataset: "folder", data_dir: images, batch_size: 32, max_epochs: 3 };
await train("classifier_training", { ...common, cv_dir: `${runs}/hr` });
const policy = { cv_dir: `${runs}/policy`, ckpt_hr_cl: `${runs}/hr`, curriculum: false };
const { run, test } = await train("pretrain", { ...common, ...policy });
const percent = (100 * test.accuracy).toFixed(1);
console.log(`${run}: ${percent} % with ${test.sparsity.toFixed(1)} patches per image`);
