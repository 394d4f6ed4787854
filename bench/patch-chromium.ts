/**
 * The same classifiers in a browser: the system's Chromium without a screen, and in it the worker of demo/, which is handed a picture's
 * bytes and a mask as the page hands them over, and computes in one thread.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { build } from "vite";
import type { SetDescription } from "../demo/description.ts";
import { servePage } from "../src/page/serve-page.ts";
import { chromiumArgs } from "../test/e2e/chromium.ts";
import { here } from "./measure.ts";
import type { PatchEngine } from "./patch-engines.ts";
import { type Classifiers, descriptionOf, onnxOf } from "./patch-networks.ts";
import { sides, type TimedSide } from "./patch-times.ts";

/** What bench/patches-page answers; arrays cross as lists of numbers. */
export interface AskedOfPage {
  /** @param model its address */
  open(side: TimedSide, model: string, description: SetDescription): Promise<void>;
  /** Lays a picture [S, S, 3] and a mask [P] ready, and says under which number. */
  prepare(side: TimedSide, bytes: readonly number[], mask: readonly number[]): number;
  /** [K] */
  logits(pass: number): Promise<number[]>;
  /** Of one call, on average over as many as it takes to fill that many milliseconds. */
  milliseconds(pass: number, leastMs: number): Promise<number>;
}

declare global {
  /** Of the page alone. */
  var patchesPage: AskedOfPage;
}

/** Nothing is left behind where it can't be opened. */
export async function chromiumEngine(classifiers: Classifiers, executablePath: string): Promise<PatchEngine> {
  const folder = mkdtempSync(join(tmpdir(), "patchdrop-patches-"));
  const toClose: (() => Promise<void>)[] = [async () => rmSync(folder, { recursive: true, force: true })];
  const free = async () => {
    for (const close of toClose.reverse()) await close();
  };
  try {
    await build({
      ...{ configFile: here("../demo/vite.config.ts"), root: here("patches-page"), logLevel: "error" },
      build: { outDir: folder, emptyOutDir: true },
    });
    for (const side of sides) writeFileSync(join(folder, `${side}.onnx`), onnxOf(classifiers[side]));
    const served = await servePage(0, folder);
    toClose.push(() => served.close());
    const browser = await chromium.launch({ executablePath, args: chromiumArgs });
    toClose.push(() => browser.close());
    const page = await browser.newPage();
    await page.goto(served.address);
    for (const side of sides) {
      const given = { side, model: `${served.address}${side}.onnx`, description: descriptionOf(classifiers[side]) };
      await page.evaluate(({ side, model, description }) => patchesPage.open(side, model, description), given);
    }
    return {
      name: `Chromium ${browser.version().split(".")[0]}, 1 thread`,
      // The page looks at one picture at a time.
      batches: [1],
      prepare(side, { bytes, masks }) {
        const given = { side, bytes: [...bytes], mask: [...masks] };
        const pass = page.evaluate(({ side, bytes, mask }) => patchesPage.prepare(side, bytes, mask), given);
        return {
          async logits() {
            return Float32Array.from(await page.evaluate((one) => patchesPage.logits(one), await pass));
          },
          async milliseconds(leastMs) {
            const given = { pass: await pass, leastMs };
            return page.evaluate(({ pass, leastMs }) => patchesPage.milliseconds(pass, leastMs), given);
          },
        };
      },
      free,
    };
  } catch (error) {
    await free();
    throw error;
  }
}
