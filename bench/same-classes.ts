/** Two files of predictions, held against each other line by line. */
import path from "node:path";
import { z } from "zod";
import { fault } from "../src/errors.ts";

const lineSchema = z.object({ path: z.string(), class: z.string(), mask: z.string() });

export interface Same {
  readonly images: number;
  /** Of the images: those with the same class in both. */
  readonly share: number;
  /** Those with the same mask. */
  readonly shareOfMasks: number;
}

/** @throws kind "system" when the two are not of the same images */
export function sameClasses(one: string, other: string): Same {
  const [first, second] = [linesOf(one), linesOf(other)];
  const missing =
    [...first.keys()].find((file) => !second.has(file)) ?? [...second.keys()].find((file) => !first.has(file));
  if (missing !== undefined)
    throw fault("system", { where: missing, rule: "must have a line of both sides", got: "one" });
  const share = (key: "class" | "mask") =>
    [...first].filter(([file, line]) => line[key] === second.get(file)?.[key]).length / first.size;
  return { images: first.size, share: share("class"), shareOfMasks: share("mask") };
}

function linesOf(text: string): Map<string, z.infer<typeof lineSchema>> {
  const lines = text.split("\n").filter((line) => line !== "");
  return new Map(
    lines.map((line) => lineSchema.parse(JSON.parse(line))).map((line) => [path.resolve(line.path), line]),
  );
}
