/** The options of `patchdrop report`; what is absent is taken from each run. */
import { z } from "zod";
import { choiceGroup } from "./choice-group.ts";
import { runDataGroup } from "./data-group.ts";
import { deviceGroup } from "./device-group.ts";
import { evaluationGroup } from "./eval-options.ts";
import { htmlFile, onByDefault, text } from "./option.ts";
import { pictureGroup } from "./picture-group.ts";

const { data_dir, dataset, skip_bad, num_workers, max_image_bytes, bands, scale } = runDataGroup;

export const reportSchema = z.strictObject({
  out: htmlFile("file for the page (.html), which replaces one of that name").default("report.html"),
  title: text("text", "heading of the page").default("PatchDrop report"),
  sweep: onByDefault(
    "accuracy against the number of patches, which takes the most time",
    "leave out accuracy against the number of patches, which takes the most time",
  ),
  ...choiceGroup,
  ...evaluationGroup,
  data_dir,
  dataset,
  skip_bad,
  num_workers,
  max_image_bytes,
  bands,
  scale,
  ...pictureGroup,
  ...deviceGroup,
});
export type ReportOptions = z.infer<typeof reportSchema>;
