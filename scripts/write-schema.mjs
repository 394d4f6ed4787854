/**
 * Writes the JSON Schemas of experiment files, of order rules and of orders.json, from the build: into dist, and into configs/, where
 * editors find them by the first lines of the files there. `npm run build` runs it.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { experimentJsonSchema } from "../dist/experiment/experiment-schema.js";
import { rulesJsonSchema } from "../dist/order/order-rules.js";
import { ordersJsonSchema } from "../dist/order/order-run.js";

const schemas = {
  "experiment.schema.json": experimentJsonSchema(),
  "order-rules.schema.json": rulesJsonSchema(),
  "orders.schema.json": ordersJsonSchema(),
};
for (const [name, schema] of Object.entries(schemas)) {
  for (const folder of ["dist", "configs"]) {
    const file = fileURLToPath(new URL(`../${folder}/${name}`, import.meta.url));
    writeFileSync(file, `${JSON.stringify(schema, null, 2)}\n`);
  }
}
