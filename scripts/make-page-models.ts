/** Makes the sets of models of page-models.ts: `npx tsx scripts/make-page-models.ts`, which building the page does. */
import { writePageModels } from "./page-models.ts";

writePageModels();
