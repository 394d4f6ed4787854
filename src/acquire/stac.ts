/** A STAC item that describes an acquisition. Source: STAC 1.1.0, its projection extension 2.0.0. */

import type { ArchivedItem } from "../archive/scenes.ts";
import { type JsonObject, toJson } from "../files/json.ts";
import { boundsOf } from "./antimeridian.ts";
import { fileNames } from "./file-names.ts";
import { cornersOf, geometryOf } from "./geojson.ts";
import type { PatchSource } from "./patch-source.ts";

const cog = "image/tiff; application=geotiff";
const geojson = "application/geo+json";

const assets = {
  masked: { href: fileNames.masked, type: cog, roles: ["data"], title: "High resolution where chosen, low elsewhere" },
  patches: { href: fileNames.patches, type: geojson, roles: ["metadata"], title: "All cells" },
  predictions: {
    href: fileNames.predictions,
    type: "application/x-ndjson",
    roles: ["metadata"],
    title: "What was seen in each window",
  },
  savings: { href: fileNames.savings, type: "application/json", roles: ["metadata"], title: "What was saved" },
};
const cellTable = {
  href: fileNames.cells,
  type: "application/vnd.apache.parquet",
  roles: ["metadata"],
  title: "All cells as a table",
};
const order = { href: fileNames.order, type: geojson, roles: ["metadata"], title: "The chosen cells, merged" };

export interface StacDetails {
  readonly acquired: {
    readonly source: string;
    readonly checkpoint: string;
    readonly low_from?: string;
    readonly cells: { readonly all: number; readonly chosen: number };
  };
  /** Whether there is an order. */
  readonly isOrdered: boolean;
  /** Whether the table of cells is this scene's own. */
  readonly hasCells?: boolean;
  /** What the scene is to an archive. */
  readonly item?: ArchivedItem | undefined;
  readonly created: Date;
}

export function stacItem(
  source: Pick<PatchSource, "width" | "height" | "georeference" | "taken" | "files" | "lowWhere" | "isPlanned">,
  { acquired: { source: where, checkpoint, low_from, cells }, isOrdered, hasCells, item, created }: StacDetails,
): JsonObject {
  const { width, height, georeference, taken, files = [where], lowWhere, isPlanned = false } = source;
  const { masked, ...others } = assets;
  const sources = [...(item === undefined ? [] : [item.from]), ...files, ...(lowWhere === undefined ? [] : [lowWhere])];
  const corners = georeference && cornersOf({ x: 0, y: 0, width, height }, georeference);
  return toJson({
    type: "Feature",
    stac_version: "1.1.0",
    stac_extensions: georeference ? ["https://stac-extensions.github.io/projection/v2.0.0/schema.json"] : [],
    id: item?.id ?? `${nameOf(where)}-${checkpoint}`,
    geometry: corners ? geometryOf(corners) : null,
    bbox: corners && boundsOf(corners),
    properties: {
      // The image's, if the file has it; an item must have one.
      ...(item === undefined
        ? { datetime: (taken ?? created).toISOString() }
        : { ...item.times, datetime: item.times.datetime ?? null }),
      created: created.toISOString(),
      "proj:code": georeference && `EPSG:${georeference.epsg}`,
      "proj:shape": georeference && [height, width],
      "proj:transform": georeference?.affine,
      "patchdrop:checkpoint": checkpoint,
      "patchdrop:low_from": low_from,
      "patchdrop:planned": isPlanned ? true : undefined,
      "patchdrop:cells": cells,
    },
    links: [...new Set(sources)].map((href) => ({ rel: "derived_from", href })),
    assets: {
      ...(isPlanned ? others : { masked, ...others }),
      cells: hasCells ? cellTable : undefined,
      order: isOrdered ? order : undefined,
    },
  });
}

/** The last part of a path or address, without its ending. */
export function nameOf(source: string): string {
  return (source.split(/[\\/]/).at(-1) ?? source).replace(/\.[^.]*$/, "");
}
