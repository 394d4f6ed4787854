/** Places and areas against PROJ and closed formulas; outlines against a pencil and against counting cells. */

import fc from "fast-check";
import { expect, it } from "vitest";
import { areaKm2 } from "../../src/acquire/earth.ts";
import { cellFeature, cornersOf, geometryOf, orderFeature } from "../../src/acquire/geojson.ts";
import { georeference, type Position } from "../../src/acquire/georeference.ts";
import { mergeCells, type Ring } from "../../src/acquire/merge-cells.ts";
import { stacItem } from "../../src/acquire/stac.ts";
import { makeGrid } from "../../src/method/grid.ts";
import { Random } from "../../src/utils/random.ts";

const identity = [1, 0, 0, 0, 1, 0] as const;

it.each([
  // `echo X Y | gdaltransform -s_srs EPSG:N -t_srs EPSG:4326` (GDAL 3.6.2)
  [4326, 13.5, -4.25, 13.5, -4.25],
  [32_633, 380_000, 5_820_000, 13.2315041587893, 52.5168853128239],
  [32_719, 345_000.5, 6_297_000.25, -70.6677669068996, -33.4552325315145],
  [3857, 1_472_000, 6_895_000, 13.2232009822394, 52.5216408882374],
  [26_910, 551_000, 4_181_000, -122.420884753595, 37.7749173885648],
  [25_832, 691_000, 5_335_000, 11.5675012292352, 48.1395583498677],
])("EPSG:%i is where PROJ has it", (epsg, x, y, longitude, latitude) => {
  const [gotLongitude, gotLatitude] = georeference(epsg, identity, "x.tif").toWgs84(x, y);
  expect(gotLongitude).toBeCloseTo(longitude, 8);
  expect(gotLatitude).toBeCloseTo(latitude, 8);
});

it.each([2154, 32_661, 32_600, 32_767])("EPSG:%i is an error that says what to do", (epsg) => {
  const found = epsg === 32_767 ? "one of its own" : `EPSG:${epsg}`;
  expect(() => georeference(epsg, identity, "x.tif")).toThrow(
    `x.tif: coordinate system: must be WGS84 (EPSG:4326), Web Mercator (3857) or a UTM zone of WGS84, NAD83 or ETRS89, got ${found}; reproject it with`,
  );
});

it.each([
  // Of each family of systems, with a corner in it, and how many of its units 5 km are.
  [4326, 13.5, -4.25, 0.05],
  [4269, -100, 40, 0.05],
  [4258, 10, 50, 0.05],
  [3857, 1_472_000, 6_895_000, 5000],
  [32_633, 380_000, 5_820_000, 5000],
  [32_660, 780_000, 8_100_000, 5000],
  [32_719, 345_000, 6_297_000, 5000],
  [26_910, 551_000, 4_181_000, 5000],
  [25_832, 691_000, 5_335_000, 5000],
])("EPSG:%i has a way back from degrees to pixels, turned or not", (epsg, x, y, size) => {
  const random = new Random(9, "back", epsg);
  for (let n = 0; n < 200; n++) {
    const [side, angle] = [size * 10 ** (-4 * random.uniform()), n % 2 === 0 ? 0 : 2 * Math.PI * random.uniform()];
    const [cosine, sine] = [side * Math.cos(angle), side * Math.sin(angle)];
    const place = georeference(epsg, [cosine, sine, x, sine, -cosine, y], "x.tif");
    const pixel = [random.uniform() * 20 - 10, random.uniform() * 20 - 10] as const;
    const [backX, backY] = place.fromWgs84(...place.toWgs84(...pixel));
    expect(Math.abs(backX - pixel[0])).toBeLessThan(1e-6);
    expect(Math.abs(backY - pixel[1])).toBeLessThan(1e-6);
  }
});

it("there is no pixel where a system has no place", () => {
  expect(georeference(3857, identity, "x.tif").fromWgs84(0, 90)).toEqual([Number.NaN, Number.NaN]);
});

const box = (west: number, south: number, east: number, north: number): Position[] => [
  ...([
    [west, south],
    [east, south],
    [east, north],
    [west, north],
  ] as const),
];

/** Between two parallels, a degree wide, in km²: the product of both radii of curvature, summed up in thin slices. */
function slicedArea(south: number, north: number): number {
  const [a, f, slices] = [6378.137, 1 / 298.257223563, 10_000];
  const e2 = f * (2 - f);
  const height = (north - south) / slices;
  let sum = 0;
  for (let i = 0; i < slices; i++) {
    const latitude = ((south + (i + 0.5) * height) * Math.PI) / 180;
    sum += (Math.cos(latitude) * a * a * (1 - e2)) / (1 - e2 * Math.sin(latitude) ** 2) ** 2;
  }
  return sum * ((height * Math.PI) / 180) * (Math.PI / 180);
}

it("areas are those of the ellipsoid", () => {
  // The surface of the ellipsoid, as GeographicLib has it.
  expect(areaKm2(box(-180, -90, 180, 90))).toBeCloseTo(510_065_621.724, 2);
  expect(areaKm2(box(10, 0, 11, 1))).toBeCloseTo(slicedArea(0, 1), 3);
  expect(areaKm2(box(10, 50, 11, 52).reverse())).toBeCloseTo(slicedArea(50, 52), 3);
  // A square of 100 m on the map, in a zone where a metre of map is 1/0.9996 m on its middle line.
  const { toWgs84 } = georeference(32_633, [1, 0, 500_000, 0, -1, 5_820_000], "x.tif");
  const square = [toWgs84(-50, 50), toWgs84(50, 50), toWgs84(50, -50), toWgs84(-50, -50)];
  expect(areaKm2(square)).toBeCloseTo(0.01 / 0.9996 ** 2, 8);
});

it("a grid of points from pole to pole is the whole Earth, without what its pixels have beyond", () => {
  // 150 × 117 points, of which the first row is the north pole: gdalinfo has its corner at 90.7758621.
  const step = 180 / 116;
  const points = georeference(4326, [2.4, 0, -181.2, 0, -step, 90 + step / 2], "x.tif");
  const rows = Array.from({ length: 117 }, (_, y) => cornersOf({ x: 0, y, width: 150, height: 1 }, points));
  expect(rows.reduce((sum, row) => sum + areaKm2(row), 0)).toBeCloseTo(510_065_621.724, 2);
  expect(points.toWgs84(0, 0)[1]).toBe(90);
  expect(points.toWgs84(0, 117)[1]).toBe(-90);
});

/** "#" is a chosen cell. */
function cellsOf(picture: readonly string[]) {
  return picture.flatMap((line, row) => [...line].flatMap((mark, column) => (mark === "#" ? [{ column, row }] : [])));
}

/** Half of the shoelace's sum: above 0 where the inside is on the right hand, rows counted downwards. */
const signedArea = (ring: Ring) =>
  ring.slice(1).reduce((sum, [x, y], i) => sum + ring[i][0] * y - x * ring[i][1], 0) / 2;

it.each<[string, string[], number[][]]>([
  ["one cell", ["#"], [[1]]],
  ["cells that share a side", ["##", "#."], [[3]]],
  ["cells that share a corner are two", ["#.", ".#"], [[1], [1]]],
  ["a hole", ["###", "#.#", "###"], [[9, -1]]],
  ["a hole that touches the outside in a corner", ["###", "#.#", "##."], [[8, -1]]],
  ["two holes that touch", ["####", "#.##", "##.#", "####"], [[16, -1, -1]]],
  ["an island in a hole", ["#####", "#...#", "#.#.#", "#...#", "#####"], [[25, -9], [1]]],
])("merges %s", async (_, picture, areas) => {
  expect((await mergeCells(cellsOf(picture))).map((rings) => rings.map(signedArea))).toEqual(areas);
});

it("keeps every corner of a cell on the way", async () => {
  expect(
    await mergeCells([
      { column: 1, row: 2 },
      { column: 2, row: 2 },
    ]),
  ).toEqual([
    [
      [
        [1, 2],
        [2, 2],
        [3, 2],
        [3, 3],
        [2, 3],
        [1, 3],
        [1, 2],
      ],
    ],
  ]);
});

it("outlines have the cells' area, one outer ring each, and no corner twice", async () => {
  const pictures = fc.array(fc.array(fc.constantFrom("#", "."), { minLength: 6, maxLength: 6 }), { maxLength: 7 });
  await fc.assert(
    fc.asyncProperty(pictures, async (marks) => {
      const cells = cellsOf(marks.map((line) => line.join("")));
      const polygons = await mergeCells(cells);
      expect(polygons.flat().reduce((sum, ring) => sum + signedArea(ring), 0)).toBe(cells.length);
      for (const [outer, ...holes] of polygons) {
        expect(signedArea(outer)).toBeGreaterThan(0);
        for (const hole of holes) expect(signedArea(hole)).toBeLessThan(0);
        for (const ring of [outer, ...holes]) {
          expect(ring.at(-1)).toEqual(ring[0]);
          expect(new Set(ring.map(String)).size).toBe(ring.length - 1);
        }
      }
    }),
    { numRuns: 300 },
  );
});

const place = georeference(4326, [0.1, 0, 10, 0, -0.1, 50], "x.tif");

it("a cell is a polygon, counterclockwise, and says what was decided", () => {
  const inside = { x: 8, y: 0, width: 4, height: 8 };
  const cell = { patch: 1, box: { ...inside, width: 8 }, inside, column: 1, row: 0 };
  const decided = { cell, window: { column: 2, row: 3 }, chosen: true, probability: 0.75, bytes: 1234 };
  expect(cellFeature(decided, place)).toEqual({
    type: "Feature",
    geometry: {
      type: "Polygon",
      coordinates: [
        [
          [10.8, 49.2],
          [11.2, 49.2],
          [11.2, 50],
          [10.8, 50],
          [10.8, 49.2],
        ],
      ],
    },
    properties: { chosen: true, probability: 0.75, bytes: 1234, patch: 1, window: [2, 3], pixels: inside },
  });
  expect(cellFeature(decided, undefined)).toMatchObject({ geometry: null });
});

it("an order is one MultiPolygon, cut off at the edge of the scene", async () => {
  const order = await orderFeature(
    cellsOf(["#.", ".#"]),
    { grid: makeGrid(16, 8), size: { width: 12, height: 16 }, place },
    { cells: 2 },
  );
  expect(order).toEqual({
    type: "Feature",
    geometry: {
      type: "MultiPolygon",
      coordinates: [
        [
          [
            [10, 50],
            [10, 49.2],
            [10.8, 49.2],
            [10.8, 50],
            [10, 50],
          ],
        ],
        [
          [
            [10.8, 49.2],
            [10.8, 48.4],
            [11.2, 48.4],
            [11.2, 49.2],
            [10.8, 49.2],
          ],
        ],
      ],
    },
    properties: { cells: 2 },
  });
  // South up: still counterclockwise.
  const turned = georeference(4326, [0.1, 0, 10, 0, 0.1, 50], "x.tif");
  const { geometry } = await orderFeature(
    [{ column: 0, row: 0 }],
    { grid: makeGrid(16, 8), size: { width: 8, height: 8 }, place: turned },
    {},
  );
  const [[ring]] = (geometry as unknown as { coordinates: Position[][][] }).coordinates;
  expect(signedArea(ring)).toBeGreaterThan(0);
});

/** In zones 1 and 60 of UTM and in Web Mercator: 2 km on the map, in whose middle 180° lies. */
it.each([
  // The scale on the map at 180°, of which the area has the square: 0.9996 · (1 + x² / 2R²), x the way to the middle meridian.
  ["the first zone of UTM", 32_601, 303_789.676, 6_000_000, 0.9996 * (1 + (196_210.324 / 0.9996 / 6_386_000) ** 2 / 2)],
  ["the last zone of UTM", 32_660, 696_210.324, 6_000_000, 0.9996 * (1 + (196_210.324 / 0.9996 / 6_386_000) ** 2 / 2)],
  ["Web Mercator", 3857, Math.PI * 6_378_137, 0, 1],
])("a scene that crosses 180° has its area and its bounds, in %s", (_, epsg, x, y, scale) => {
  const crossing = georeference(epsg, [100, 0, x - 1000, 0, -100, y + 1000], "x.tif");
  const box = { x: 0, y: 0, width: 20, height: 20 };
  // On the equator, the ellipsoid's degree of latitude is 1 − e² of the sphere's.
  const expected = (4 / scale ** 2) * (epsg === 3857 ? 1 - 0.00669438 : 1);
  expect(areaKm2(cornersOf(box, crossing)) / expected).toBeCloseTo(1, 3);
  const details = { acquired: { source: "x", checkpoint: "y", cells: { all: 1, chosen: 1 } }, created: new Date() };
  const { bbox, geometry } = stacItem(
    { width: 20, height: 20, georeference: crossing, taken: undefined },
    { ...details, isOrdered: false },
  );
  const [west, , east] = bbox as number[];
  expect(west).toBeGreaterThan(179.9);
  expect(east).toBeLessThan(-179.9);
  expect(geometry).toMatchObject({ type: "MultiPolygon" });
});

it("an outline that crosses 180° is cut there in two, each counterclockwise", () => {
  // From 179° to −178°, and from 10° to 13° at its eastern end: the southern side rises a degree in each degree of longitude.
  const ring: Position[] = [
    [179, 10],
    [182, 13],
    [182, 20],
    [179, 20],
  ];
  const halves = [
    [
      [
        [179, 20],
        [179, 10],
        [180, 11],
        [180, 20],
        [179, 20],
      ],
    ],
    [
      [
        [-180, 11],
        [-178, 13],
        [-178, 20],
        [-180, 20],
        [-180, 11],
      ],
    ],
  ];
  const sorted = (polygons: readonly (readonly (readonly (readonly number[])[])[])[]) =>
    polygons.map(([one]) => one.slice(1).map(String).sort());
  const cut = geometryOf(ring) as unknown as { type: string; coordinates: Position[][][] };
  expect(cut.type).toBe("MultiPolygon");
  expect(sorted(cut.coordinates)).toEqual(sorted(halves));
  for (const [one] of cut.coordinates) expect(signedArea(one)).toBeGreaterThan(0);
  // One that ends at 180° is not cut; one that lies beyond is moved.
  expect(geometryOf(box(179, 0, 180, 1))).toMatchObject({ type: "Polygon" });
  expect(geometryOf(box(190, 0, 191, 1))).toEqual(geometryOf(box(-170, 0, -169, 1)));
});

it("an order that crosses 180° has its cells on either side, and no area twice", async () => {
  // Columns of 0.8°, of which the second goes from 179.8 to 180.6. West of 180° the arms of the U are apart.
  const crossing = georeference(4326, [0.1, 0, 179, 0, -0.1, 50], "x.tif");
  const { geometry } = await orderFeature(
    cellsOf(["###", "..#", "###"]),
    { grid: makeGrid(24, 8), size: { width: 24, height: 24 }, place: crossing },
    {},
  );
  const { coordinates } = geometry as unknown as { coordinates: Position[][][] };
  const west = coordinates.filter(([[[longitude]]]) => longitude > 0);
  expect(west.map(([ring]) => signedArea(ring))).toEqual([expect.closeTo(0.8, 6), expect.closeTo(0.8, 6)]);
  const east = coordinates.filter(([[[longitude]]]) => longitude < 0);
  expect(east.map(([ring]) => signedArea(ring))).toEqual([expect.closeTo(1.4 * 0.8 * 2 + 0.8 * 0.8, 6)]);
  for (const [longitude] of coordinates.flat(2)) expect(Math.abs(longitude)).toBeLessThanOrEqual(180);
});

it("a cell of a scene whose rows go north is counterclockwise, too", () => {
  const turned = georeference(4326, [0.1, 0, 10, 0, 0.1, 50], "x.tif");
  const { coordinates } = geometryOf(cornersOf({ x: 0, y: 0, width: 8, height: 8 }, turned)) as unknown as {
    coordinates: Position[][];
  };
  expect(signedArea(coordinates[0])).toBeCloseTo(0.64, 8);
});

it("cells of a few centimetres, far from the equator, are counterclockwise", () => {
  const small = georeference(4326, [1e-7, 0, 151.2, 0, -1e-7, 67.8], "x.tif");
  for (let n = 0; n < 200; n++) {
    const window = { x: 37 * n, y: 8 * n, width: 8, height: 8 };
    const { coordinates } = geometryOf(cornersOf(window, small)) as unknown as { coordinates: Position[][] };
    const [[[left, bottom], [nextX, nextY], [x, y]]] = coordinates;
    expect((nextX - left) * (y - bottom) - (x - left) * (nextY - bottom)).toBeGreaterThan(0);
  }
});
