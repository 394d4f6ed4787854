/** What bench/patch-chromium.ts asks of Chromium: the page's own worker, one for each side. */
import { Engine } from "../../demo/engine.ts";
import type { AskedOfPage } from "../patch-chromium.ts";
import { type Pass, passOf } from "../timed-pass.ts";

const engines = new Map<string, Engine>();
const passes: Pass[] = [];

const answers: AskedOfPage = {
  async open(side, model, description) {
    const engine = new Engine();
    engines.set(side, engine);
    await engine.call("open", { models: new Map([["classifier.onnx", model]]), description });
  },

  prepare(side, bytes, mask) {
    const [image, masks] = [Uint8Array.from(bytes), [Uint8Array.from(mask)]];
    const engine = engines.get(side)!;
    return passes.push(passOf(async () => (await engine.call("logits", { bytes: image, masks }))[0])) - 1;
  },

  async logits(pass) {
    return [...(await passes[pass].logits())];
  },

  milliseconds: (pass, leastMs) => passes[pass].milliseconds(leastMs),
};

globalThis.patchesPage = answers;
