/** `patchdrop order` on folders of `acquire`: what is written, and what is refused. */
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Ajv } from "ajv";
import { afterAll, beforeAll, expect, it } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import { lockBeside, takeLock } from "../../src/files/lock.ts";
import { rulesJsonSchema, rulesNames } from "../../src/order/order-rules.ts";
import { orderLines, orderRun, ordersJsonSchema } from "../../src/order/order-run.ts";
import { type Reporter, Stopped, silentReporter } from "../../src/utils/reporter.ts";
import { blockScene, brightPolicy, limits, writeScene } from "../acquire/scenes.ts";
import { patchdrop, runTimeoutMs } from "../e2e/program.ts";
import { refusal } from "../options/commands.ts";

let folder: string;
const at = (...names: string[]) => join(folder, ...names);
const json = (...names: string[]) => JSON.parse(readFileSync(at(...names), "utf8"));
const options = { rules: "single-999", price_per_km2: 10, price_per_order: 0 };
const configs = new URL("../../configs/", import.meta.url).pathname;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-order-"));
  const choices = { ...limits, top: 2, batch_size: 3 };
  await writeScene(at("scene.tif"), blockScene(101, 75));
  await acquire(at("scene.tif"), brightPolicy, { ...choices, out: at("acquired") });
  await writeScene(at("dark.tif"), blockScene(101, 75, 0));
  await acquire(at("dark.tif"), brightPolicy, { ...choices, out: at("dark") });
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it("orders all chosen cells for what their area costs, as acquire counts it", async () => {
  const { summary } = await orderRun(at("acquired"), options);
  const { cells, area_km2 } = json("acquired", "savings.json");
  expect(summary.cells).toMatchObject({ chosen: cells.chosen, covered: cells.chosen, left_out: 0 });
  expect(summary.price).toBeCloseTo(10 * area_km2.chosen, 7);
  expect(summary.whole_scene_price).toBeCloseTo(10 * area_km2.whole, 7);
  expect(json("acquired", "orders", "orders.json")).toEqual(summary);
  for (const { file, price } of summary.orders) {
    expect(json("acquired", "orders", file).features[0]).toMatchObject({
      geometry: { type: "Polygon" },
      properties: { price },
    });
  }
  expect(new Ajv().validate(ordersJsonSchema(), summary)).toBe(true);
  expect(await refusal(() => orderRun(at("acquired"), options))).toMatch(/^usage: .* must not exist yet/);
});

it("takes the whole scene where a least charge makes it as dear, and leaves out what does not pay", async () => {
  const charged = await orderRun(at("acquired"), { ...options, rules: "charged-25", out: at("charged") });
  expect(charged.summary).toMatchObject({ price: 250, whole_scene_price: 250 });
  // A whole cell of 4 × 4 m costs 0.00016: one that is worth less is not ordered.
  const poor = await orderRun(at("acquired"), { ...options, value_per_cell: 1e-4, out: at("poor") });
  const rich = await orderRun(at("acquired"), { ...options, value_per_cell: 1, out: at("rich") });
  expect(rich.summary.cells.left_out).toBe(0);
  expect(poor.summary.cells.covered).toBeLessThan(rich.summary.cells.covered);
  expect(poor.summary.cells.expected_value).toBeGreaterThanOrEqual(poor.summary.price);
});

it("shows how many of the chosen cells have a polygon, has its folder to itself, and leaves nothing behind a stop", async () => {
  const out = at("stopped");
  const shown: unknown[] = [];
  let asked = 0;
  const reporter = (stopsAt: number): Reporter => ({
    ...silentReporter,
    progress: (label, total) => {
      shown.push(label, total);
      return silentReporter.progress(label, total);
    },
    stopping: () => (++asked >= stopsAt ? "SIGTERM" : undefined),
  });
  expect(await orderRun(at("acquired"), { ...options, out }, reporter(1)).catch((error) => error)).toBeInstanceOf(
    Stopped,
  );
  expect(shown).toEqual(["order", json("acquired", "savings.json").cells.chosen]);
  const release = takeLock(lockBeside(out));
  expect(await refusal(() => orderRun(at("acquired"), { ...options, out }))).toMatch(/^locked: .*is in use by process/);
  release();
  expect(readdirSync(folder).filter((name) => name.includes("stopped") || name.startsWith("."))).toEqual([]);
  // Also where a scene is wrongly named, nothing is made there.
  expect(await refusal(() => orderRun(at("nowhere"), options))).toMatch(/^input: .*must hold patches.geojson/);
  expect(existsSync(at("nowhere"))).toBe(false);
});

it("says that there is nothing to order", async () => {
  const { summary } = await orderRun(at("dark"), options);
  expect(summary).toMatchObject({ price: 0, orders: [], cells: { chosen: 0, covered: 0 } });
  expect(orderLines(summary)).toEqual(["nothing to order: 0 cells were chosen"]);
});

it("ships schemas that its rules keep", () => {
  expect(JSON.parse(readFileSync(`${configs}order-rules.schema.json`, "utf8"))).toEqual(rulesJsonSchema());
  expect(JSON.parse(readFileSync(`${configs}orders.schema.json`, "utf8"))).toEqual(ordersJsonSchema());
  const isValid = new Ajv().compile(rulesJsonSchema());
  expect(rulesNames()).toEqual(["charged-25", "convex-500", "filled-box", "single-999", "wide-300"]);
  for (const name of rulesNames())
    expect(isValid(JSON.parse(readFileSync(`${configs}order-rules/${name}.json`, "utf8")))).toBe(true);
});

it.each([
  ['{"max_vertices": 2}', 2, "max_vertices: must be at least 5, as a rectangle has in GeoJSON, got 2"],
  ['{"max_vertex": 9}', 2, "max_vertex: must be a field of order rules, got 9; did you mean max_vertices?"],
  ['{"convex": true, "holes": true}', 2, "holes: must be false where convex is true"],
  ['{"min_area_km2": 2, "min_charged_km2": 1}', 2, "min_charged_km2: must be at least min_area_km2"],
  ['{"min_area_km2": 1000}', 3, "--rules: must allow a polygon within the scene around every chosen cell"],
  ['{"min_fill_of_bbox": 1.5}', 2, "min_fill_of_bbox: must be at most 1, got 1.5"],
  ["[1]", 2, "must hold the fields of order rules, got [1]"],
  ["{", 3, "must be JSON in UTF-8"],
])(
  "rules %s are an error",
  async (text, code, message) => {
    writeFileSync(at("rules.json"), text);
    const ended = await patchdrop([
      "order",
      at("acquired"),
      "--rules",
      at("rules.json"),
      "--price_per_km2",
      "1",
      "--out",
      at("none"),
    ]);
    expect(ended).toMatchObject({ code, stdout: "", stderr: expect.stringContaining(message) });
    expect(existsSync(at("none"))).toBe(false);
  },
  runTimeoutMs,
);

it(
  "a negative price and an unknown name are errors",
  async () => {
    const price = await patchdrop(["order", at("acquired"), "--rules", "single-999", "--price_per_km2", "-1"]);
    expect(price).toMatchObject({
      code: 2,
      stderr: expect.stringContaining("--price_per_km2: must be at least 0, got -1"),
    });
    const name = await patchdrop(["order", at("acquired"), "--rules", "single-99", "--price_per_km2", "1"]);
    expect(name).toMatchObject({ code: 3, stderr: expect.stringContaining("did you mean single-999?") });
  },
  runTimeoutMs,
);

it("a folder that acquire did not write, or not like that, is refused", async () => {
  const out = at("none");
  mkdirSync(at("empty"));
  expect(await refusal(() => orderRun(at("empty"), { ...options, out }))).toMatch(
    /^input: .*must hold patches.geojson/,
  );
  const changed = async (name: string, change: (text: string) => string) => {
    rmSync(at("changed"), { recursive: true, force: true });
    cpSync(at("acquired"), at("changed"), { recursive: true });
    writeFileSync(at("changed", name), change(readFileSync(at("acquired", name), "utf8")));
    return refusal(() => orderRun(at("changed"), { ...options, out }));
  };
  expect(await changed("patches.geojson", (text) => text.slice(0, 900))).toMatch(/^input: .*line \d+: must be JSON/);
  expect(await changed("patches.geojson", (text) => text.replace(/\n.*\n/, "\n"))).toMatch(
    /^input: .*must have 130 cells.* got 129/,
  );
  expect(await changed("patches.geojson", (text) => JSON.stringify(JSON.parse(text), undefined, 2))).toMatch(
    /^input: .*a cell a line/,
  );
  expect(await changed("patches.geojson", (text) => text.replace(/"probability":[\d.]+/, '"probability":7'))).toMatch(
    /probability: must be at most 1, got 7/,
  );
  const placeless = (text: string) => text.replace(/"proj:(code|shape|transform)"/g, '"x$1"');
  expect(await changed("item.json", placeless)).toMatch(
    /^input: .*must be of a scene that says where on the Earth it lies/,
  );
  expect(existsSync(out)).toBe(false);
});
