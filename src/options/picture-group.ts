/** How images are shown to a person, by every command that draws them. */
import type { z } from "zod";
import { bands } from "./data-group.ts";
import { shownAs } from "./option.ts";

const rule = "must be one band or three, by number or by name, such as nir,red,green";

export const pictureGroup = {
  composite: shownAs(
    "band,…",
    bands.refine(({ length }) => length === 1 || length === 3, rule),
  )
    .optional()
    .describe(
      "which of the run's bands pictures show as red, green and blue, or one as grey; those of these names, else the first three, when absent",
    ),
};

export type PictureOptions = z.infer<z.ZodObject<typeof pictureGroup>>;
