/** What stands in a shard's file of an acquired scene: a line for each window, and then its own. Written here, and read by `gather`. */

import { z } from "zod";
import type { WindowPrediction } from "../acquire/outputs.ts";
import type { Acquired } from "../acquire/tally.ts";
import type { PatchSize } from "../method/grid.ts";

/** Of a window. */
export interface WindowLine extends Omit<WindowPrediction, "checkpoint"> {
  /** The scene's id. */
  readonly of: string;
  /** Which patches were chosen, "0110…"; those that cost nothing are in `mask` alone. */
  readonly chosen: string;
  /** Of the patches in the scene, in their order: the bytes of the tiles that were fetched for each first. */
  readonly cell_bytes: readonly number[];
}

/** Of a scene: the contents of its savings.json, and how its cells lie. */
export interface SceneLine extends Omit<Acquired, "checkpoint"> {
  readonly id: string;
  readonly from: string;
  readonly place: { readonly epsg: number; readonly affine: readonly number[] } | null;
  readonly grid: { readonly image_size: number; readonly patch_size: PatchSize };
}

const number = z.number();
const whole = z.int().min(0);
const side = z.int().positive();
const bits = z.string().regex(/^[01]+$/);
const figure = z.object({ whole: number, used: number, saved: number, share: number });
const count = z.object({ bytes: whole, requests: whole });

/** What is needed of a window's line to add shards up. */
export const windowLineSchema = z.object({
  of: z.string(),
  window: z.tuple([whole, whole]),
  box: z.object({ x: whole, y: whole, width: side, height: side }),
  class: z.string().optional(),
  chosen: bits,
  patch_probabilities: z.array(number).optional(),
  cell_bytes: z.array(whole),
});

/** What is needed of a scene's line. */
export const sceneLineSchema = z.object({
  id: z.string(),
  size: z.object({ width: side, height: side }),
  place: z.object({ epsg: side, affine: z.tuple([number, number, number, number, number, number]) }).nullable(),
  grid: z.object({ image_size: side, patch_size: z.union([side, z.templateLiteral([side, "x", side])]) }),
  windows: whole,
  unseen: whole.optional(),
  left: whole.optional(),
  cells: z.object({ all: whole, chosen: whole, free: whole.optional() }),
  tiles: z.object({ all: whole, read: whole }).nullable(),
  rounds: z.array(z.object({ windows: whole, patches: whole, requests: whole, seconds: number })),
  pixels: figure,
  bytes: figure.nullable(),
  time: figure.nullable(),
  money: figure.extend({ order: figure.nullable(), egress: figure.nullable() }).nullable(),
  why: z.string().nullable(),
  read: count.extend({
    retries: whole,
    by: z.object({ header: count, low: count, high: count, whole_file: count }),
  }),
  seconds: z.object({ look: number, decide: number, acquire: number, classify: number, write: number }),
  area_km2: z.object({ whole: number, chosen: number }).nullable(),
  prices: z.object({
    price_per_km2: number.optional(),
    min_area_km2: number.optional(),
    egress_per_gb: number.optional(),
  }),
});
