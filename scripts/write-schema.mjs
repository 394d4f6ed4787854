/**
 * Writes the JSON Schema of experiment files, from the build: into dist, and into configs/, where editors find it by the first
 * line of each file there. `npm run build` runs it.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { experimentJsonSchema } from "../dist/experiment/experiment-schema.js";

const text = `${JSON.stringify(experimentJsonSchema(), null, 2)}\n`;
for (const folder of ["dist", "configs"]) {
  writeFileSync(fileURLToPath(new URL(`../${folder}/experiment.schema.json`, import.meta.url)), text);
}
