/** Our GeoTIFF files in the eyes of libvips and geotiff.js; and header by header, of files too large to write here. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromArrayBuffer } from "geotiff";
import sharp from "sharp";
import { afterAll, beforeAll, expect, it } from "vitest";
import { Tiff } from "../../src/formats/tiff.ts";
import { encodeHeader } from "../../src/formats/tiff-writer.ts";
import { blockScene, type Scene, utm33, writeScene } from "./scenes.ts";

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-raster-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Half as large; a last column or row without partner counts twice. */
function halved({ width, height, pixels }: Scene, nearest: boolean): Scene {
  const [w, h] = [Math.ceil(width / 2), Math.ceil(height / 2)];
  const value = (x: number, y: number, c: number) =>
    pixels[3 * (Math.min(y, height - 1) * width + Math.min(x, width - 1)) + c];
  const out = Uint8Array.from({ length: w * h * 3 }, (_, at) => {
    const [x, y, c] = [2 * (Math.floor(at / 3) % w), 2 * Math.floor(at / 3 / w), at % 3];
    if (nearest) return value(x, y, c);
    return Math.floor((value(x, y, c) + value(x + 1, y, c) + value(x, y + 1, c) + value(x + 1, y + 1, c) + 2) / 4);
  });
  return { width: w, height: h, pixels: out };
}

it.each(["average", "nearest"] as const)(
  "libvips reads the pixels and overviews that were written: %s",
  async (kind) => {
    const path = join(folder, `${kind}.tif`);
    let scene = blockScene(101, 75);
    await writeScene(path, scene, { resampling: kind });
    for (let page = 0; page < 3; page++) {
      const { data, info } = await sharp(path, { page }).raw().toBuffer({ resolveWithObject: true });
      expect([info.width, info.height]).toEqual([scene.width, scene.height]);
      expect(Buffer.compare(data, scene.pixels)).toBe(0);
      scene = halved(scene, kind === "nearest");
    }
    // Nothing of the tiles' waiting is left.
    expect(readdirSync(folder).every((name) => name.endsWith(".tif"))).toBe(true);
  },
);

it("geotiff.js finds it where it was put, its directories first and its coarsest pixels before the finer ones", async () => {
  const path = join(folder, "place.tif");
  await writeScene(path, blockScene(101, 75));
  const bytes = readFileSync(path);
  const tiff = await fromArrayBuffer(
    bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length) as ArrayBuffer,
  );
  const image = await tiff.getImage();
  expect(image.getOrigin().slice(0, 2)).toEqual([380_000, 5_820_000]);
  expect(image.getResolution().slice(0, 2)).toEqual([0.5, -0.5]);
  expect(image.getGeoKeys()).toMatchObject({
    GTModelTypeGeoKey: 1,
    GTRasterTypeGeoKey: 1,
    ProjectedCSTypeGeoKey: 32_633,
  });
  const offsets = [];
  for (let n = 0; n < 3; n++) {
    const directory = (await tiff.getImage(n)).fileDirectory;
    offsets.push(Array.from((await directory.loadValue("TileOffsets")) as Iterable<number>));
  }
  const [full, half, quarter] = offsets;
  expect([full.length, half.length, quarter.length]).toEqual([35, 12, 4]);
  expect(Math.max(...quarter)).toBeLessThan(Math.min(...half));
  expect(Math.max(...half)).toBeLessThan(Math.min(...full));
});

it("a turned raster keeps its matrix, degrees their kind", async () => {
  const level = { width: 16, height: 16, byteCounts: [10] };
  const affine = [0.1, 0.2, 10, 0.3, -0.4, 50];
  const georeference = { epsg: 4326, affine, geographic: true };
  const bytes = new Uint8Array(encodeHeader({ levels: [level], tileSize: 16, georeference }));
  const image = await (await fromArrayBuffer(bytes.buffer)).getImage();
  expect(image.getGeoKeys()).toMatchObject({ GTModelTypeGeoKey: 2, GeographicTypeGeoKey: 4326 });
  expect(Array.from(image.fileDirectory.getValue("ModelTransformation") as Iterable<number>)).toEqual([
    ...[0.1, 0.2, 0, 10, 0.3, -0.4, 0, 50, 0, 0, 0, 0, 0, 0, 0, 1],
  ]);
});

it.each([
  ["TIFF", 2_100_000_000, 8],
  ["BigTIFF", 2_200_000_000, 16],
])("offsets beyond 4 GiB make it a BigTIFF: %s", async (_, count, start) => {
  const levels = [
    { width: 32, height: 16, byteCounts: [count, count] },
    { width: 16, height: 8, byteCounts: [5] },
  ];
  const bytes = encodeHeader({ levels, tileSize: 16, georeference: utm33 });
  const read = async (offset: number, length: number) => bytes.subarray(offset, offset + length);
  const tiff = await Tiff.open({ where: "x.tif", size: 5e9, read });
  const [full, half] = tiff.directories;
  expect(bytes[2]).toBe(start === 8 ? 42 : 43);
  expect([...(await tiff.numbers(half, "TileOffsets", 9))!]).toEqual([bytes.length]);
  expect([...(await tiff.numbers(full, "TileOffsets", 9))!]).toEqual([bytes.length + 5, bytes.length + 5 + count]);
  expect([...(await tiff.numbers(full, "TileByteCounts", 9))!]).toEqual([count, count]);
});
