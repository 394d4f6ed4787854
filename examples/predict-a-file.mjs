// A trained run's prediction for one image: node predict-a-file.mjs runs/finetune photo.jpg
import { countPatches, openPredictor, readImage } from "patchdrop";

const [load, file] = process.argv.slice(2);
const run = await openPredictor(load);
const { classes, mask } = await run.predict(await readImage(file, run.description));
const best = classes.indexOf(Math.max(...classes));
const percent = (100 * classes[best]).toFixed(1);
console.log(`${run.classes[best]} (${percent} %), from ${countPatches(mask)} of ${mask.length} patches`);
await run.free();
