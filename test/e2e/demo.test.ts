/**
 * The browser page as a visitor meets it, in the system's Chromium: built, handed out below some path, and held against
 * what `patchdrop predict` says of the same files.
 */

import {
  cpSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { type Browser, chromium, type Page } from "playwright-core";
import sharp from "sharp";
import { build } from "vite";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { SetDescription } from "../../demo/description.ts";
import { writePageModels } from "../../scripts/page-models.ts";
import { openPredictor } from "../../src/inference/open-run.ts";
import { makeGrid, maskBits } from "../../src/method/grid.ts";
import { lowPixels } from "../../src/method/pixels.ts";
import type { Prediction } from "../../src/predict/lines.ts";
import { chromiumArgs, executablePath, noChromium } from "./chromium.ts";
import { runTimeoutMs, succeed } from "./program.ts";
import { writeSetInRounds } from "./set-in-rounds.ts";

const demo = fileURLToPath(new URL("../../demo/", import.meta.url));
const noBrowser = executablePath === undefined ? ` (skipped: ${noChromium})` : "";
/** A folder of a site: nothing may stand at its root. */
const below = "/some/where/";

writePageModels();
const sets = readdirSync(join(demo, "models")).map((name) => {
  const folder = join(demo, "models", name);
  const text = readFileSync(join(folder, "model.json"), "utf8");
  return { name, folder, description: JSON.parse(text) as SetDescription };
});
const setOf = (wanted: string) => sets.find(({ name }) => name === wanted)!;
/** What the page opens on. */
const first = setOf("scenes");
const aerial = setOf("aid");
const withSamples = sets.filter(({ description }) => description.samples.length > 0);

describe.skipIf(executablePath === undefined)(`the page${noBrowser}`, { timeout: runTimeoutMs }, () => {
  let folder: string;
  let inRounds: { folder: string; description: SetDescription };
  let server: Server;
  let address: string;
  let browser: Browser;

  /** The page's sources with one set more, which comes last. */
  function withSetInRounds(): string {
    const copy = join(folder, "demo");
    cpSync(demo, copy, { recursive: true, filter: (file) => file !== join(demo, "dist") });
    for (const beside of ["src", "node_modules", "tsconfig.json"]) {
      symlinkSync(join(demo, "..", beside), join(folder, beside));
    }
    const own = join(copy, "models", "z-in-rounds");
    inRounds = { folder: own, description: writeSetInRounds(own, join(demo, "models", "scenes")) };
    return copy;
  }

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "patchdrop-demo-e2e-"));
    const built = join(folder, "page");
    await build({ root: withSetInRounds(), logLevel: "error", build: { outDir: built, emptyOutDir: true } });
    server = serve(built);
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}${below}`;
    browser = await chromium.launch({ executablePath: executablePath!, args: chromiumArgs });
  }, runTimeoutMs);
  afterAll(async () => {
    await browser?.close();
    server?.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** The page with the first set open, and all that it said on the console or fetched. */
  async function open(options: Parameters<Browser["newPage"]>[0] = {}) {
    const page = await browser.newPage({ reducedMotion: "reduce", ...options });
    const said: string[] = [];
    const fetched: string[] = [];
    page.on("console", (message) => said.push(message.text()));
    page.on("pageerror", (error) => said.push(error.message));
    page.on("request", (request) => fetched.push(request.url()));
    await page.goto(address);
    await settled(page);
    return { page, said, fetched };
  }

  async function openSet(page: Page, { title }: SetDescription): Promise<void> {
    await page.getByRole("radio", { name: title, exact: true }).check();
    await settled(page);
  }

  async function choosePicture(page: Page, at: number): Promise<void> {
    await page.locator("#samples input").nth(at).check();
    await settled(page);
  }

  async function setBudget(page: Page, patches: number): Promise<void> {
    await page.locator("#budget").fill(String(patches));
    await settled(page);
  }

  it("opens on the set where looking shows most, and offers the others after it", async () => {
    const { page, said } = await open();
    // The policy's test accuracy minus that of as many random patches: 80.5 points, then 7.2, then 0.7; then what is not known.
    const titles = ["Synthetic scenes", "CIFAR-10", "Aerial scenes", "In rounds"];
    expect(await page.locator("#sets label").allTextContents()).toEqual(titles);
    expect(await page.locator("#sets input").first().isChecked()).toBe(true);
    expect(await page.locator("#set-about").textContent()).toContain(first.description.about);
    expect(said).toEqual([]);
    await page.close();
  });

  it("shows a set without pictures as soon as one is dropped, or pasted, on the page", async () => {
    const { page, said, fetched } = await open();
    await openSet(page, aerial.description);
    expect(await page.locator("#no-picture").isVisible()).toBe(true);
    for (const hidden of [".panels", ".budget", ".pair", ".comparison", "#pictures"]) {
      expect(await page.locator(hidden).isVisible(), hidden).toBe(false);
    }
    const [one, other] = [join(folder, "one.png"), join(folder, "other.png")];
    await writePicture(one, 150, 120);
    await writePicture(other, 112, 140);
    const expected = await predictions(aerial.folder, [one, other]);
    const dragged = await transferOf(page, one);
    await page.dispatchEvent("#stages", "dragover", { dataTransfer: dragged });
    expect(await page.locator("body.dropping").count()).toBe(1);
    await page.dispatchEvent("#stages", "drop", { dataTransfer: dragged });
    await settled(page);
    expect(await page.locator("body.dropping").count()).toBe(0);
    expectSame(await shown(page), expected[0]);
    expect(await page.locator("#no-picture").isVisible()).toBe(false);
    expect(await page.locator(".panels").isVisible()).toBe(true);
    expect(await page.locator("#pictures-legend").textContent()).toBe("Your picture");
    const paste = (transfer: DataTransfer) =>
      document.body.dispatchEvent(new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true }));
    await page.evaluate(paste, await transferOf(page, other));
    await settled(page);
    expectSame(await shown(page), expected[1]);
    expect(await page.locator("#samples input").count()).toBe(1);
    // Text that is dropped or pasted is no picture, and changes nothing.
    const text = await page.evaluateHandle(() => {
      const transfer = new DataTransfer();
      transfer.setData("text/plain", "words");
      return transfer;
    });
    await page.dispatchEvent("body", "drop", { dataTransfer: text });
    await page.evaluate(paste, text);
    await settled(page);
    expectSame(await shown(page), expected[1]);
    expect(said).toEqual([]);
    expect(fetched.filter((url) => !url.startsWith(address) && !url.startsWith("blob:"))).toEqual([]);
    await page.close();
  });

  it.each(withSamples)(
    "says of the samples what the command line says: $name",
    async ({ folder: models, description }) => {
      const files = description.samples.map(({ file }) => join(models, file));
      const expected = await predictions(models, files);
      const { page, said, fetched } = await open();
      await openSet(page, description);
      for (const at of files.keys()) {
        await choosePicture(page, at);
        expectSame(await shown(page), expected[at]);
        const isRight = expected[at].class === description.samples[at].label;
        expect(await page.locator("#verdict").textContent()).toMatch(isRight ? /^✓ right$/ : /^✗ wrong: it is /);
      }
      expect(said).toEqual([]);
      expect(fetched.filter((url) => !url.startsWith(address))).toEqual([]);
      expect(fetched.some((url) => url.endsWith(".wasm"))).toBe(true);
      await page.close();
    },
  );

  it("reads as many patches as the slider says: those that the policy wants most", async () => {
    const { page } = await open();
    const { imageSize, patchSize, lowSize } = first.description;
    const { patches, patchWidth, patchHeight } = makeGrid(imageSize, patchSize);
    const own = await shown(page);
    const ranks = (probabilities: readonly number[]) => probabilities.toSorted((a, b) => b - a);
    for (const budget of [0, 5, patches]) {
      await setBudget(page, budget);
      const { mask, probabilities, read } = await shown(page);
      expect(probabilities).toEqual(own.probabilities);
      const taken = probabilities.filter((_, k) => mask[k] === "1");
      expect(ranks(taken)).toEqual(ranks(probabilities).slice(0, budget));
      const pixels = budget * patchWidth * patchHeight + lowSize ** 2;
      expect(read).toBe(`${pixels.toLocaleString("en")} of ${(imageSize ** 2).toLocaleString("en")} pixels`);
      expect(await page.locator("#budget-count").textContent()).toBe(budget === 1 ? "1 patch" : `${budget} patches`);
      // With none or with all, random patches are the policy's.
      const [policy, random, all] = await compared(page);
      if (budget === 0 || budget === patches) expect(random).toBeCloseTo(policy, 6);
      if (budget === patches) expect(all).toBeCloseTo(policy, 6);
    }
    await page.getByRole("button", { name: "The policy decides" }).click();
    await settled(page);
    expect(await shown(page)).toEqual(own);
    await page.close();
  });

  it("shows the rounds of a policy that looks again, by keyboard, as the library goes through them", async () => {
    const { description, folder: models } = inRounds;
    const files = description.samples.map(({ file }) => join(models, file));
    const expected = await predictions(models, files);
    const { page, said } = await open();
    await expect(page.locator("#rounds").isVisible()).resolves.toBe(false);
    await openSet(page, description);
    for (const [at, file] of files.entries()) {
      await choosePicture(page, at);
      expectSame(await shown(page), expected[at]);
      const rounds = await roundsOf(models, file);
      expect(rounds.length).toBeGreaterThan(1);
      const taken = rounds.map(({ mask }) => mask);
      expect(taken.at(-1)).toBe(expected[at].mask);
      // All three rounds take something, or the last one that is shown takes nothing.
      const stops = taken.at(-1) === taken.at(-2);
      expect(await page.locator("#rounds-end").textContent()).toBe(
        stops ? `In round ${rounds.length} it asks for nothing more: it stops.` : "The rounds are over.",
      );
      expect(await page.locator("#rounds input").count()).toBe(rounds.length);
      await tabTo(page, "#rounds input:checked");
      for (const [index, round] of [...rounds.entries()].reverse()) {
        const chosen = page.locator("#rounds label:has(:checked)");
        expect(await chosen.locator("small").allTextContents()).toEqual([
          `Round ${index + 1}`,
          expect.stringMatching(/^\d+ patch(es)?$/),
          `${round.class}, ${Math.round(100 * round.probability)}\u00a0%`,
        ]);
        expect((await shown(page)).mask).toBe(round.mask);
        const there = await page.locator("#wants td", { hasText: "taken before" }).count();
        expect(there).toBe((taken[index - 1] ?? "").replaceAll("0", "").length);
        await page.keyboard.press("ArrowLeft");
      }
      // Going round and round, it is at the last again; the answer has stayed that of the end.
      expectSame(await shown(page), expected[at]);
    }
    await openSet(page, first.description);
    await expect(page.locator("#rounds").isVisible()).resolves.toBe(false);
    expect(said).toEqual([]);
    await page.close();
  });

  it("spends a budget in rounds, and goes back to what the policy takes by itself", async () => {
    const { page } = await open();
    await openSet(page, inRounds.description);
    const own = await shown(page);
    const rounds = page.locator("#rounds label");
    // At most a third of the 16 patches in one of three rounds.
    await setBudget(page, 7);
    const counts = await Promise.all((await rounds.all()).map((one) => one.locator(".taken").count()));
    expect(counts).toEqual([6, 7]);
    expect((await shown(page)).mask.replaceAll("0", "").length).toBe(7);
    expect(await page.locator("#rounds-end").textContent()).toBe("The budget is spent.");
    await page.locator("#rounds input").first().check();
    expect((await shown(page)).mask.replaceAll("0", "").length).toBe(6);
    expect(await page.getByRole("status").textContent()).toMatch(/^7 patches of 16 taken in 2 rounds\. Answer: /);
    await page.getByRole("button", { name: "The policy decides" }).click();
    await settled(page);
    expect(await shown(page)).toEqual(own);
    await page.close();
  });

  it("lets a picture leave once the classifier is sure, where the set knows how sure that is", async () => {
    const { description, folder: models } = inRounds;
    const files = description.samples.map(({ file }) => join(models, file));
    const without = await predictions(models, files);
    const expected = await predictions(models, files, "--exit", "0.9");
    const leave = expected.map(({ left }) => left === true);
    expect(new Set(leave)).toEqual(new Set([true, false]));
    const { page } = await open();
    await expect(page.locator("#exits").isVisible()).resolves.toBe(false);
    await openSet(page, description);
    for (const at of files.keys()) {
      await choosePicture(page, at);
      await page.locator("#exits").check();
      await settled(page);
      expectSame(await shown(page), expected[at]);
      const [end, status] = [page.locator("#rounds-end"), page.getByRole("status")];
      const said = /^Before round \d the classifier is \d+\u00a0% sure, calibrated: the picture leaves\.$/;
      expect(said.test((await end.textContent())!)).toBe(leave[at]);
      expect(
        / and no more, since the classifier is \d+\u00a0% sure, calibrated\./.test((await status.textContent())!),
      ).toBe(leave[at]);
      await page.locator("#exits").uncheck();
      await settled(page);
      expectSame(await shown(page), without[at]);
    }
    await page.close();
  });

  it("is used by keyboard, and shows where the focus is", async () => {
    const { page } = await open();
    await tabTo(page, "#samples input:checked");
    await page.keyboard.press("ArrowRight");
    await settled(page);
    expect(await page.locator("#samples input").nth(1).isChecked()).toBe(true);
    const second = await shown(page);
    const [expected] = await predictions(first.folder, [join(first.folder, first.description.samples[1].file)]);
    expectSame(second, expected);
    await tabTo(page, "#file");
    await tabTo(page, "#budget");
    await page.keyboard.press("Home");
    for (let presses = 0; presses < 3; presses++) await page.keyboard.press("ArrowRight");
    await settled(page);
    expect((await shown(page)).mask.replaceAll("0", "")).toBe("111");
    await tabTo(page, "#policy-decides");
    await page.keyboard.press("Space");
    await settled(page);
    expect(await shown(page)).toEqual(second);
    await page.close();
  });

  it("tells a screen reader each patch, the pictures and the result", async () => {
    const { page } = await open();
    const { mask, probabilities } = await shown(page);
    const { imageSize, patchSize } = first.description;
    const { columns } = makeGrid(imageSize, patchSize);
    for (const [k, cell] of (await page.getByRole("cell").all()).slice(0, mask.length).entries()) {
      const place = `row ${Math.floor(k / columns) + 1}, column ${(k % columns) + 1}: `;
      expect(await cell.ariaSnapshot()).toContain(place);
      expect(await cell.ariaSnapshot()).toContain(mask[k] === "1" ? ", taken" : ", dropped");
      expect(probabilities[k] >= 0.5).toBe(mask[k] === "1");
    }
    for (const picture of await page.locator("img, canvas").all()) {
      expect((await picture.getAttribute("alt")) ?? (await picture.getAttribute("aria-label"))).toMatch(/\w{4}/);
    }
    const count = mask.replaceAll("0", "").length;
    await expect(page.getByRole("status").textContent()).resolves.toMatch(
      new RegExp(`^${count} patch(es)? of ${mask.length} taken\\. Answer: .+ pixels read\\.$`),
    );
    await page.close();
  });

  it("takes a picture of the visitor's as the command line does, and says what it can't read", async () => {
    const { page, fetched } = await open();
    const [photo, text] = [join(folder, "photo.png"), join(folder, "text.png")];
    await writePicture(photo, 90, 61);
    writeFileSync(text, "no picture");
    await page.locator("#file").setInputFiles(photo);
    await settled(page);
    const own = await shown(page);
    const [expected] = await predictions(first.folder, [photo]);
    expectSame(own, expected);
    expect(await page.locator("#verdict").textContent()).toBe("");
    await page.locator("#file").setInputFiles(text);
    await settled(page);
    expect(await page.getByRole("alert").textContent()).toBe(
      "This is not a picture that the browser can read. PNG, JPEG and WebP files are.",
    );
    expect(await shown(page)).toEqual(own);
    await choosePicture(page, 0);
    expect(await page.getByRole("alert").textContent()).toBe("");
    expect(fetched.filter((url) => !url.startsWith(address) && !url.startsWith("blob:"))).toEqual([]);
    await page.close();
  });

  it("says so when the networks can't be fetched", async () => {
    const page = await browser.newPage();
    await page.route("**/*.onnx", (route) => route.abort());
    await page.goto(address);
    await settled(page);
    expect(await page.getByRole("alert").textContent()).toMatch(/^The networks could not be fetched/);
    await page.close();
  });

  it.each([
    ["reduce", 0],
    ["no-preference", 1],
  ] as const)("reveals patch by patch unless the visitor asked for less motion: %s", async (reducedMotion, least) => {
    const { page } = await open({ reducedMotion });
    await page.locator("#samples input").nth(2).check();
    await page.waitForFunction(() => document.querySelector("#page")?.ariaBusy === "false");
    const moving = await page.evaluate(() => document.getAnimations().length);
    expect(Math.min(moving, 1)).toBe(least);
    await page.close();
  });

  it.each(["light", "dark"] as const)("fits a phone, and can be read: %s", async (colorScheme) => {
    const { page } = await open({ colorScheme, viewport: { width: 360, height: 740 } });
    for (const { description } of [first, inRounds, aerial]) {
      await openSet(page, description);
      expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBe(360);
      expect(await page.evaluate(leastContrast)).toBeGreaterThanOrEqual(4.5);
    }
    await page.close();
  });
});

/** Hands out a folder under {@link below}, as a plain web server does. */
function serve(folder: string): Server {
  const types: Record<string, string> = {
    ".html": "text/html",
    ".js": "text/javascript",
    ".css": "text/css",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".wasm": "application/wasm",
  };
  return createServer(({ url = "" }, response) => {
    const name = url === below ? "index.html" : url.slice(below.length);
    const file = join(folder, name);
    if (!url.startsWith(below) || name.includes("..") || !existsSync(file)) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, { "content-type": types[extname(file)] ?? "application/octet-stream" });
    response.end(readFileSync(file));
  });
}

/** What `patchdrop predict` says, without libtorch. */
async function predictions(load: string, files: readonly string[], ...how: string[]): Promise<Prediction[]> {
  const { stdout } = await succeed(["predict", "--engine", "onnx", "--load", load, "--quiet", ...how, ...files]);
  return stdout
    .trimEnd()
    .split("\n")
    .map((line) => JSON.parse(line) as Prediction);
}

/** After each round: what is there, and what the classifier makes of it. Asks the exported run again of what it has. */
async function roundsOf(load: string, file: string) {
  const run = await openPredictor(load, { engine: "onnx", threads: 1 });
  const { model, classes, description } = run;
  const bytes = Uint8Array.from(await sharp(file).removeAlpha().raw().toBuffer());
  const low = lowPixels(bytes, model.imageSize, model.lowSize, 3);
  const there = new Uint8Array(model.grid.patches);
  const rounds = [];
  for (let more = true; more && rounds.length < description.rounds; ) {
    const { mask } = await run.decide(low, { images: bytes, mask: there });
    for (const [k, one] of mask.entries()) there[k] |= one;
    more = mask.includes(1);
    const answer = await run.classify(bytes, there, low);
    const probability = Math.max(...answer);
    rounds.push({ mask: maskBits(there), class: classes[answer.indexOf(probability)], probability });
  }
  await run.free();
  return rounds;
}

/** Until nothing is under way. */
async function settled(page: Page): Promise<void> {
  await page.locator("#page[aria-busy=false]").waitFor({ state: "attached" });
}

/** What the page says of the chosen picture. */
async function shown(page: Page) {
  const numbers = async (selector: string) =>
    (await page.locator(selector).all()).map(async (one) => Number(await one.getAttribute("data-probability")));
  const probabilities = await Promise.all(await numbers("#wants td"));
  const [probability] = await Promise.all(await numbers("#bars li"));
  const veils = await page.locator("#taken i").all();
  const mask = await Promise.all(
    veils.map(async (veil) => ((await veil.getAttribute("class")) === "taken" ? "1" : "0")),
  );
  return {
    probabilities,
    mask: mask.join(""),
    class: await page.locator("#answer").textContent(),
    probability,
    read: await page.locator("#read").textContent(),
  };
}

/** Probabilities of the class that is compared: for the policy's patches, random ones, all. */
async function compared(page: Page): Promise<number[]> {
  const rows = await page.locator("#comparison tr").all();
  return Promise.all(rows.map(async (row) => Number(await row.getAttribute("data-probability"))));
}

/** Largest difference between the page's probabilities and the command line's. */
const tolerance = 1e-3;
/** Nearer to one half, two ways to compute may choose differently. */
const undecided = 1e-4;

function expectSame(found: Awaited<ReturnType<typeof shown>>, expected: Prediction): void {
  expect(found.class).toBe(expected.class);
  expect(Math.abs(found.probability - expected.top[0].probability)).toBeLessThan(tolerance);
  const wanted = expected.patch_probabilities;
  // The policy was not asked of a picture that left.
  if (wanted === undefined) {
    expect(found.mask).toBe(expected.mask);
    return;
  }
  for (const [k, p] of wanted.entries()) {
    expect(Math.abs(found.probabilities[k] - p), `patch ${k}`).toBeLessThan(tolerance);
    if (Math.abs(p - 0.5) > undecided) expect(found.mask[k], `patch ${k}`).toBe(expected.mask[k]);
  }
  expect(found.probabilities.length).toBe(wanted.length);
}

/** Presses Tab until the element has the focus; it must then be framed, or its label must. */
async function tabTo(page: Page, selector: string): Promise<void> {
  for (let presses = 0; presses < 30; presses++) {
    await page.keyboard.press("Tab");
    const framed = await page.evaluate((wanted) => {
      const focused = document.activeElement!;
      if (!focused.matches(wanted)) return undefined;
      return [focused, focused.closest("label")].some((one) => one && getComputedStyle(one).outlineStyle === "solid");
    }, selector);
    if (framed === undefined) continue;
    expect(framed, `frame of ${selector}`).toBe(true);
    return;
  }
  throw new Error(`Tab does not reach ${selector}`);
}

/** What is dragged, or lies in the clipboard, when it is a file. */
function transferOf(page: Page, path: string) {
  return page.evaluateHandle(
    (bytes) => {
      const transfer = new DataTransfer();
      transfer.items.add(new File([Uint8Array.from(bytes)], "own.png", { type: "image/png" }));
      return transfer;
    },
    [...readFileSync(path)],
  );
}

async function writePicture(path: string, width: number, height: number): Promise<void> {
  await sharp(wavy(width, height), { raw: { width, height, channels: 3 } })
    .png()
    .toFile(path);
}

/** Bytes [height, width, 3] that no two pixels share. */
function wavy(width: number, height: number): Uint8Array {
  return Uint8Array.from({ length: width * height * 3 }, (_, at) => {
    const [pixel, channel] = [Math.floor(at / 3), at % 3];
    const [x, y] = [pixel % width, Math.floor(pixel / width)];
    return Math.round(127 + 60 * Math.sin(x / (5 + channel)) + 60 * Math.cos(y / (7 - channel)));
  });
}

/**
 * The least contrast of a text with what lies behind it (WCAG 2.2, 1.4.3), of all texts that are seen. Runs in the page.
 */
function leastContrast(): number {
  const context = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true })!;
  const luminance = (colours: readonly string[]): number => {
    context.clearRect(0, 0, 1, 1);
    for (const colour of colours) {
      context.fillStyle = colour;
      context.fillRect(0, 0, 1, 1);
    }
    const [red, green, blue] = Array.from(context.getImageData(0, 0, 1, 1).data, (byte) => {
      const share = byte / 255;
      return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let least = Number.POSITIVE_INFINITY;
  while (texts.nextNode()) {
    const element = texts.currentNode.parentElement!;
    if (texts.currentNode.textContent?.trim() === "" || element.closest(".unseen, noscript, [hidden]")) continue;
    const behind: string[] = [];
    for (let one: Element | null = element; one; one = one.parentElement) {
      behind.unshift(getComputedStyle(one).backgroundColor);
    }
    const [dark, light] = [luminance(behind), luminance([...behind, getComputedStyle(element).color])].sort();
    least = Math.min(least, (Math.max(dark, light) + 0.05) / (Math.min(dark, light) + 0.05));
  }
  return least;
}
