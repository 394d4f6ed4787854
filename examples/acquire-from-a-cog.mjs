// Only the chosen patches of a scene: node acquire-from-a-cog.mjs runs/finetune scene.tif acquired
import { acquireRun } from "patchdrop";

const [load, scene, out] = process.argv.slice(2);
const { cells, bytes } = await acquireRun(scene, { load, out });
console.log(`${cells.chosen} of ${cells.all} patches, ${bytes.used} bytes read of ${bytes.whole}; see ${out}`);
