/** STAC items for tests, and a server of texts. */
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface MadeItem {
  [field: string]: unknown;
  id: string;
  properties: Record<string, unknown>;
  assets: Record<string, Record<string, unknown>>;
}

const cog = "image/tiff; application=geotiff; profile=cloud-optimized";

/** A valid item of one GeoTIFF. @param bbox west, south, east, north */
export function stacItem(
  id: string,
  href: string,
  more: Record<string, unknown> = {},
  bbox = [10, 50, 11, 51],
): MadeItem {
  const [w, s, e, n] = bbox;
  const ring = [w, s, e, s, e, n, w, n, w, s];
  const coordinates = [Array.from({ length: 5 }, (_, i) => ring.slice(2 * i, 2 * i + 2))];
  return {
    ...{ type: "Feature", stac_version: "1.1.0", id, geometry: { type: "Polygon", coordinates }, bbox, links: [] },
    properties: { datetime: "2024-03-01T10:00:00Z", ...more },
    assets: { image: { href, type: cog, roles: ["data"] }, thumbnail: { href: "small.png", type: "image/png" } },
  };
}

export const collection = (items: readonly unknown[], links: readonly unknown[] = []) => ({
  ...{ type: "FeatureCollection", features: items, links },
});

/** Serves what `pages` says of each path, without ranges, as a search does. */
export async function serveTexts(pages: (url: string, origin: string) => string | undefined) {
  const asked: string[] = [];
  const server = createServer(({ url = "/" }, response) => {
    asked.push(url);
    const text = pages(url, origin);
    response.writeHead(text === undefined ? 404 : 200).end(text);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const close = () => new Promise((resolve) => server.close(resolve));
  return { origin, asked, close };
}
