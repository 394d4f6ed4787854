/**
 * How fast a list of scenes is done whose server answers in 50 ms, beside the same files on this disk: `predict` of images, and
 * `acquire` of scenes of a few windows. Both take turns, in processes of their own, so that starting counts on both sides.
 *
 *     npm run build && npx tsx bench/archive.ts --data_dir aid/test --images 1000 --scenes 300 --rounds 3
 */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { copyFileSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { z } from "zod";
import { RasterFile } from "../src/acquire/raster-file.ts";
import { Random } from "../src/utils/random.ts";
import { median } from "./measure.ts";

const program = fileURLToPath(new URL("../dist/cli/patchdrop.js", import.meta.url));
const delayMs = 50;

const argumentsSchema = z.object({
  data_dir: z.string(),
  images: z.coerce.number().int().min(1).default(1000),
  scenes: z.coerce.number().int().min(1).default(300),
  rounds: z.coerce.number().int().min(1).default(3),
  threads: z.coerce.number().int().min(1).default(2),
});
const named = { type: "string" } as const;
const { values } = parseArgs({
  options: { data_dir: named, images: named, scenes: named, rounds: named, threads: named },
});
const { data_dir, images, scenes, rounds, threads } = argumentsSchema.parse(values);

const folder = mkdtempSync(join(tmpdir(), "patchdrop-bench-"));
try {
  const files = join(folder, "files");
  mkdirSync(join(files, "pictures"), { recursive: true });
  const pictures = copyImages(files);
  const tiffs = await makeScenes(files);
  const server = spawn(process.execPath, [
    fileURLToPath(new URL("slow-server.mjs", import.meta.url)),
    files,
    String(delayMs),
  ]);
  const [port] = (await once(createInterface({ input: server.stdout }), "line")) as [string];
  const origin = `http://127.0.0.1:${port}`;
  const sides = {
    predict: {
      local: () => secondsOf("predict", [join(files, "pictures"), "--out", join(folder, "lines")]),
      served: () => secondsOf("predict", listed(pictures, origin)),
    },
    acquire: {
      local: () => secondsOf("acquire", listed(tiffs, files)),
      served: () => secondsOf("acquire", listed(tiffs, origin)),
    },
  };
  for (const command of ["predict", "acquire"] as const) {
    const seconds = { local: [] as number[], served: [] as number[] };
    for (let round = 0; round < rounds; round++) {
      for (const side of ["local", "served"] as const) seconds[side].push(sides[command][side]());
    }
    const count = command === "predict" ? pictures.length : tiffs.length;
    const speed = (side: "local" | "served") => count / median(seconds[side]);
    const said = { local: speed("local"), served: speed("served"), ratio: speed("served") / speed("local") };
    console.log(JSON.stringify({ command, count, delayMs, threads, ...said, seconds }));
  }
  server.kill();
} finally {
  rmSync(folder, { recursive: true });
}

/** Pictures of class folders. */
function copyImages(target: string): string[] {
  const found = readdirSync(data_dir, { recursive: true, encoding: "utf8" })
    .filter((name) => /\.(jpe?g|png)$/i.test(name))
    .slice(0, images);
  return found.map((name, n) => {
    const copy = join("pictures", `${n}${extname(name)}`);
    copyFileSync(join(data_dir, name), join(target, copy));
    return copy;
  });
}

/** Scenes of 2 × 2 windows of the packaged aerial run, of noise. */
async function makeScenes(target: string): Promise<string[]> {
  const names: string[] = [];
  for (let n = 0; n < scenes; n++) {
    const random = new Random(n, "bench scene");
    const affine = [0.5, 0, 380_000 + 200 * n, 0, -0.5, 5_820_000] as const;
    const georeference = { epsg: 32_633, affine, geographic: false };
    const size = { width: 224, height: 224 };
    const raster = new RasterFile(join(target, `scene${n}.tif`), { ...size, tileSize: 32, overviews: 2, georeference });
    await raster.write(Uint8Array.from({ length: 224 * 224 * 3 }, () => random.integer(256)));
    await raster.finish();
    names.push(`scene${n}.tif`);
  }
  return names;
}

/** The flags for a list of files that lie in a folder, or behind an address. */
function listed(names: readonly string[], place: string): string[] {
  const path = join(folder, "list.jsonl");
  writeFileSync(path, names.map((id) => JSON.stringify({ id, href: `${place}/${id}` })).join("\n"));
  return ["--manifest", path, "--out", join(folder, "shards")];
}

function secondsOf(command: "predict" | "acquire", given: readonly string[]): number {
  for (const out of ["shards", "lines"]) rmSync(join(folder, out), { recursive: true, force: true });
  const began = performance.now();
  const flags = ["--load", "patchdrop:aid", "--threads", String(threads), "--quiet", ...given];
  const { status, stderr } = spawnSync(process.execPath, [program, command, ...flags], { encoding: "utf8" });
  if (status !== 0) throw new Error(stderr);
  return (performance.now() - began) / 1000;
}
