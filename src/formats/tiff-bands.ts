/**
 * What GDAL writes beside the pixels of a TIFF about its bands: their names, the value that stands where there are no data, and how stored
 * numbers become measured ones. Source: GDAL's documentation of the GTiff driver, "Metadata" and "Nodata value".
 */
import type { Tiff, TiffDirectory } from "./tiff.ts";
import { photometric, type TileLayout } from "./tiff-layout.ts";

export interface Band {
  /** As the file describes it; of a colour image its colour; empty where nothing is said. */
  readonly name: string;
  /** What others call it, who count where the file says nothing. */
  readonly aliases?: readonly string[];
  /** A measured value is scale × stored + offset. */
  readonly scale: number;
  readonly offset: number;
}

export interface BandTable {
  /** In the file's order. */
  readonly bands: readonly Band[];
  /** What is stored where there are no data. */
  readonly nodata: number | undefined;
}

/** @param directory the file's first: overviews do not repeat it @throws input: a scale or an offset that is no number, or 0 */
export async function readBands(tiff: Tiff, directory: TiffDirectory, layout: TileLayout): Promise<BandTable> {
  const items = itemsIn((await tiff.text(directory, "GDAL_METADATA")) ?? "");
  const said = (role: string, band: number) => items.find((item) => item.role === role && item.sample === band)?.text;
  const number = (role: string, band: number, otherwise: number) => {
    const text = said(role, band) ?? String(otherwise);
    const value = Number(text);
    if (text.trim() !== "" && Number.isFinite(value) && (role !== "scale" || value !== 0)) return value;
    throw tiff.malformed("GDAL_METADATA", `the ${role} of band ${band + 1} must be a number`, text);
  };
  const nodata = (await tiff.text(directory, "GDAL_NODATA"))?.trim().replace("inf", "Infinity");
  return {
    bands: Array.from({ length: layout.samples }, (_, band) => ({
      name: said("description", band) ?? colourOf(band, layout),
      scale: number("scale", band, 1),
      offset: number("offset", band, 0),
    })),
    nodata: nodata === undefined || nodata === "" ? undefined : Number(nodata),
  };
}

const colours = ["red", "green", "blue"];

function colourOf(band: number, { photometric: kind }: TileLayout): string {
  const isColour = kind === photometric.rgb || kind === photometric.ycbcr || kind === photometric.colourTable;
  return (isColour ? colours[band] : undefined) ?? "";
}

interface Item {
  readonly role: string;
  /** Counted from 0. */
  readonly sample: number;
  readonly text: string;
}

/** Those of bands. The XML is GDAL's own, a line each; what it has besides is left alone. */
function itemsIn(xml: string): Item[] {
  return Array.from(xml.matchAll(/<Item\s([^<>]*)>([^<>]*)<\/Item>/g)).flatMap(([, attributes, text]) => {
    const attribute = (name: string) => new RegExp(`\\b${name}="([^"]*)"`).exec(attributes)?.[1];
    const [sample, role] = [attribute("sample"), attribute("role")];
    return sample === undefined || role === undefined ? [] : [{ role, sample: Number(sample), text: unescaped(text) }];
  });
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", quot: '"', apos: "'", amp: "&" };

function unescaped(text: string): string {
  return text.replaceAll(/&(\w+);/g, (whole, name: string) => entities[name] ?? whole);
}
