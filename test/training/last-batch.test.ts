/** Batch norm cannot train on one image: an epoch whose last batch would be one image leaves it out, and no other batch. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openCheckpoint, savedNetwork } from "../../src/checkpoints/open-checkpoint.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { parseOptions } from "../../src/options/stage-options.ts";
import { train } from "../../src/training/train.ts";
import { makeImageFolder } from "../e2e/images.ts";

openLibtorch(findLibtorch(), { threads: 1 });

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "patchdrop-last-batch-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Trains one epoch on `images` images of three classes, and tells how many steps it took. */
async function steps(images: number, batchSize: number): Promise<number> {
  const name = `${images}-${batchSize}`;
  const data = await makeImageFolder(join(folder, name, "data"), { classes: 3, train: images / 3, test: 1 });
  const given = { model: "R8_Scenes", data_dir: data, cv_dir: join(folder, name, "run"), batch_size: batchSize };
  await train("classifier_training", parseOptions("classifier_training", { ...given, max_epochs: 1, threads: 1 }));
  const { state } = savedNetwork(openCheckpoint(join(folder, name, "run", "last")), "resnet_hr");
  // Running statistics move once a step.
  const { data: counted } = state.get("bn1.num_batches_tracked")!;
  return Number(new DataView(counted.buffer, counted.byteOffset).getBigInt64(0, true));
}

it.each([
  ["2·B + 1 images", { images: 9, batchSize: 4, taken: 2 }],
  ["2·B + 2 images", { images: 12, batchSize: 5, taken: 3 }],
  ["2·B images", { images: 12, batchSize: 6, taken: 2 }],
  ["fewer than B images", { images: 9, batchSize: 64, taken: 1 }],
])("an epoch of %s: %o", async (_, { images, batchSize, taken }) => {
  expect(await steps(images, batchSize)).toBe(taken);
});
