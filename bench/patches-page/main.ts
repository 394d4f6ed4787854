/** What bench/patch-chromium.ts asks of Chromium: the page's own worker, one for each side. */
import { Engine } from "../../demo/engine.ts";
import type { AskedOfPage } from "../patch-chromium.ts";

const engines = new Map<string, Engine>();
const passes: (() => Promise<Float32Array>)[] = [];

const answers: AskedOfPage = {
  async open(side, model, description) {
    const engine = new Engine();
    engines.set(side, engine);
    await engine.call("open", { models: new Map([["classifier.onnx", model]]), description });
  },

  prepare(side, bytes, mask) {
    const [image, masks] = [Uint8Array.from(bytes), [Uint8Array.from(mask)]];
    const engine = engines.get(side)!;
    return passes.push(async () => (await engine.call("logits", { bytes: image, masks }))[0]) - 1;
  },

  async logits(pass) {
    return [...(await passes[pass]())];
  },

  async milliseconds(pass, leastMs) {
    const began = performance.now();
    let calls = 0;
    let took: number;
    do {
      await passes[pass]();
      calls++;
      took = performance.now() - began;
    } while (took < leastMs);
    return took / calls;
  },
};

globalThis.patchesPage = answers;
