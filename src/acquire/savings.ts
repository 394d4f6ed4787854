/**
 * What not reading everything saves, in four figures that do not follow from one another: pixels, bytes, time, money. Each
 * compares with reading and buying the full resolution of the whole scene. Pure arithmetic.
 */

/** What was used, and what the whole would take. */
export interface Figure {
  readonly whole: number;
  readonly used: number;
  /** whole − used; below zero where looking cost more than it saved. */
  readonly saved: number;
  /** saved / whole. */
  readonly share: number;
}

/** As the flags have them. */
export interface Prices {
  readonly price_per_km2?: number | undefined;
  readonly min_area_km2?: number | undefined;
  /** For 10⁹ bytes. */
  readonly egress_per_gb?: number | undefined;
}

/** Of the full resolution: all, and those that hold a patch that was read. */
export interface TileCount {
  readonly all: number;
  readonly read: number;
}

export interface Measured {
  /** Null where the picture was read as a whole. */
  readonly tiles: TileCount | null;
  readonly pixels: { readonly whole: number; readonly low: number; readonly high: number };
  /** Undefined of an image that does not exist yet. */
  readonly bytes: { readonly whole: number; readonly read: number; readonly high: number } | undefined;
  /** Of looking, deciding and acquiring together, and of acquiring alone. */
  readonly seconds: { readonly used: number; readonly acquire: number };
  /** Undefined without a georeference. */
  readonly areaKm2: { readonly whole: number; readonly chosen: number } | undefined;
}

export interface Money extends Figure {
  readonly order: Figure | null;
  readonly egress: Figure | null;
}

export interface Savings {
  /** Of the full resolution and, for what was used, of the low resolution. */
  readonly pixels: Figure;
  /** Null of an image that does not exist yet. */
  readonly bytes: Figure | null;
  /** In seconds; the time for the whole is an estimate from the rate at which the patches came. */
  readonly time: Figure | null;
  readonly money: Money | null;
  /** Why something took more than the whole would have; null where nothing did. */
  readonly why: string | null;
}

export const bytesPerGb = 1e9;

export function savingsOf({ pixels, bytes, seconds, areaKm2, tiles }: Measured, prices: Prices): Savings {
  const figures = {
    pixels: figure(pixels.whole, pixels.low + pixels.high),
    bytes: bytes === undefined ? null : figure(bytes.whole, bytes.read),
    // Without a patch there is no rate.
    time: bytes === undefined || bytes.high === 0 ? null : timeOf(bytes, seconds),
    money: moneyOf(bytes, areaKm2, prices),
  };
  return { ...figures, why: whyNot(figures, tiles) };
}

/** Why something took more than reading everything would have; null where nothing did. */
export function whyNot({ pixels, bytes, time, money }: Omit<Savings, "why">, tiles: TileCount | null): string | null {
  const isLost = (figures: readonly (Figure | null)[]) => figures.some((one) => one !== null && one.saved < 0);
  const read =
    tiles === null
      ? "the picture was read as a whole"
      : `${count(tiles.read)} of ${count(tiles.all)} tiles hold a patch that was read`;
  const reasons = [
    ...(isLost([pixels, bytes, money]) ? [`${read}, and the low resolution came on top`] : []),
    ...(isLost([time]) ? ["looking and deciding took more time than reading less saved"] : []),
  ];
  return reasons.length === 0 ? null : reasons.join("; ");
}

/** What was used of the whole. */
export function figure(whole: number, used: number): Figure {
  return { whole, used, saved: whole - used, share: whole === 0 ? 0 : (whole - used) / whole };
}

function timeOf(bytes: NonNullable<Measured["bytes"]>, { used, acquire }: Measured["seconds"]): Figure {
  return figure((acquire * bytes.whole) / bytes.high, used);
}

/** An order is paid by area, with a minimum; an empty order costs nothing. */
function moneyOf(bytes: Measured["bytes"], area: Measured["areaKm2"], prices: Prices): Money | null {
  const { price_per_km2: perKm2, min_area_km2: leastKm2 = 0, egress_per_gb: perGb } = prices;
  const ordered = (km2: number) => (km2 === 0 ? 0 : Math.max(km2, leastKm2) * (perKm2 ?? 0));
  const sent = (count: number) => (count / bytesPerGb) * (perGb ?? 0);
  const order = perKm2 === undefined || area === undefined ? null : figure(ordered(area.whole), ordered(area.chosen));
  const egress = perGb === undefined || bytes === undefined ? null : figure(sent(bytes.whole), sent(bytes.read));
  if (order === null && egress === null) return null;
  const sum = (key: "whole" | "used") => (order?.[key] ?? 0) + (egress?.[key] ?? 0);
  return { ...figure(sum("whole"), sum("used")), order, egress };
}

/** A line for each figure; those that save nothing say so. */
export function savingsLines({ pixels, bytes, time, money, why }: Savings): string[] {
  return [
    line("pixels", pixels, count),
    bytes === null ? "bytes   unknown: there is no file yet" : line("bytes", bytes, count),
    time === null ? "time    unknown: no patch was fetched separately" : line("time", time, (s) => `${s.toFixed(1)} s`),
    money === null
      ? "money   unknown: give --price_per_km2, for an image that says where on the Earth it lies, or --egress_per_gb"
      : line("money", money, amountText),
    ...(why === null ? [] : [`why     ${why}`]),
  ];
}

function line(name: string, { whole, used, saved, share }: Figure, shown: (value: number) => string): string {
  const verdict =
    saved > 0
      ? `${(100 * share).toFixed(1)} % saved`
      : saved === 0
        ? "nothing saved"
        : `nothing saved: ${shown(-saved)} more than the whole`;
  return `${name.padEnd(7)} ${shown(used)} of ${shown(whole)}: ${verdict}`;
}

/** In cents, or of less than one, three digits. */
function amountText(amount: number): string {
  return Math.abs(amount) < 1 && amount !== 0 ? amount.toPrecision(3) : amount.toFixed(2);
}

function count(value: number): string {
  return value.toLocaleString("en-US");
}
