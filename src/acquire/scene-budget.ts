/** A budget for a scene in bytes, seconds or money, in which the header, looking, and the patches are paid for. */

import { fault, type PatchDropError } from "../errors.ts";
import { budgetNames } from "../options/acquire-options.ts";
import { areaKm2 } from "./earth.ts";
import { cornersOf } from "./geojson.ts";
import { requestsAtOnce } from "./http-file.ts";
import type { Count, Ledger } from "./ledger.ts";
import type { PatchSource, Window } from "./patch-source.ts";
import { bytesPerGb, type Prices } from "./savings.ts";

/** As the flags have it; one of the budgets at most. */
export interface BudgetOptions extends Prices {
  readonly budget_bytes?: number | undefined;
  readonly budget_seconds?: number | undefined;
  readonly budget_money?: number | undefined;
}

/** What reading takes, in the unit of a budget. */
export interface SceneBudget {
  /** The flag. */
  readonly name: string;
  readonly amount: number;
  /** What has been spent when all windows were looked at. */
  spent(): number;
  /** What looking takes at least, besides what was spent; nothing where only trying tells. */
  readonly looking: number;
  /** Of a tile that takes so many bytes. */
  costOfTile(bytes: number): number;
  /** Of a cell, besides its tiles. */
  costOfCell(inside: Window): number;
  /** What the smallest order costs more than its cells do, at most. */
  readonly smallestOrder: number;
}

/** What was read until now, and how long it took. */
export interface Progress {
  readonly ledger: Ledger;
  /** Of opening the scene, and of all so far. */
  readonly seconds: { readonly open: number; readonly look: () => number; readonly all: () => number };
}

/** Undefined where none is given. */
export function budgetOf(options: BudgetOptions, source: PatchSource, progress: Progress): SceneBudget | undefined {
  const name = budgetNames.find((one) => options[one] !== undefined);
  if (name === undefined) return undefined;
  const about = { name: `--${name}`, amount: options[name]! };
  const { ledger } = progress;
  if (name === "budget_bytes") {
    return {
      ...about,
      ...nothingElse,
      spent: () => ledger.total.bytes,
      looking: source.lowBytes,
      costOfTile: (bytes) => bytes,
    };
  }
  if (name === "budget_seconds") return { ...about, ...nothingElse, ...inSeconds(progress) };
  const { price_per_km2: perKm2 = 0, min_area_km2: leastKm2 = 0, egress_per_gb: perGb = 0 } = options;
  const { georeference } = source;
  if (georeference === undefined && perKm2 > 0) throw noArea(source.where);
  const sent = (bytes: number) => (bytes / bytesPerGb) * perGb;
  return {
    ...about,
    spent: () => sent(ledger.total.bytes),
    looking: sent(source.lowBytes),
    costOfTile: sent,
    costOfCell: (inside) =>
      georeference === undefined || perKm2 === 0 ? 0 : perKm2 * areaKm2(cornersOf(inside, georeference)),
    smallestOrder: georeference === undefined ? 0 : perKm2 * leastKm2,
  };
}

function noArea(where: string): PatchDropError {
  const rule = "must say where on the Earth it lies, as --price_per_km2 counts by area";
  return fault("usage", { where, rule, got: "a picture", next: "give a GeoTIFF, or --egress_per_gb alone" });
}

const nothingElse = { costOfCell: () => 0, smallestOrder: 0 };

/** An estimate: bytes at the rate of looking, and the time of the header's requests for each request, of which several are under way. */
function inSeconds({ ledger, seconds }: Progress): Pick<SceneBudget, "spent" | "looking" | "costOfTile"> {
  const perRequest = () => seconds.open / Math.max(1, ledger.of("header").requests) / requestsAtOnce;
  return {
    spent: seconds.all,
    looking: 0,
    costOfTile: (bytes) => (bytes === 0 ? 0 : bytes * perByte(ledger.of("low"), seconds.look()) + perRequest()),
  };
}

function perByte({ bytes }: Readonly<Count>, seconds: number): number {
  return bytes === 0 ? 0 : seconds / bytes;
}

/** @throws usage: what is left does not pay for `more` */
export function mustPay({ name, amount, spent }: SceneBudget, more: number): void {
  if (spent() + more <= amount) return;
  throw tooSmall(name, amount, `header and looking at the low resolution take ${shown(spent() + more)}`);
}

function tooSmall(where: string, got: number, why: string): PatchDropError {
  // How long looking takes is the machine's and the server's, and may be otherwise the next time.
  const kind = where === "--budget_seconds" ? "resource" : "usage";
  return fault(kind, { where, rule: `must pay for more than looking: ${why}`, got, next: "give more" });
}

function shown(amount: number): string {
  return Number.isInteger(amount) ? String(amount) : amount.toPrecision(4);
}
