/** Whatever an acquisition is busy with or waits for, a stop ends it soon, and nothing is left of it. */
import { readdirSync, statSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, onTestFinished } from "vitest";
import { acquire } from "../../src/acquire/acquire.ts";
import { mergeCells } from "../../src/acquire/merge-cells.ts";
import type { PatchPolicy } from "../../src/acquire/patch-policy.ts";
import { type Reporter, Stopped, silentReporter } from "../../src/utils/reporter.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { blockScene, brightPolicy, limits, sparseScene, writeScene } from "./scenes.ts";

/** A signal ends any command within seconds; this many, on a machine that is slow and has other things to do. */
const promisedMs = 15_000;
const choices = { ...limits, top: 1, batch_size: 64 };

/** Asks for a stop after so many ms; how late it came to an end, and the longest time in which no signal could have come. */
async function stopped(afterMs: number, work: (reporter: Reporter) => Promise<unknown>) {
  let last = performance.now();
  const due = last + afterMs;
  let longestMs = 0;
  const clock = setInterval(() => {
    longestMs = Math.max(longestMs, performance.now() - last);
    last = performance.now();
  }, 5);
  const reporter: Reporter = {
    ...silentReporter,
    stopping: () => (performance.now() >= due ? "SIGTERM" : undefined),
  };
  const error = await work(reporter).catch((thrown) => thrown);
  clearInterval(clock);
  return { error, lateMs: performance.now() - due, longestMs };
}

/** Takes every patch. */
const takesAll: PatchPolicy = {
  ...brightPolicy,
  decide: (low) => {
    const patches = new Float32Array(low.length / 12).fill(1);
    return { patches, mask: Uint8Array.from(patches) };
  },
};

describe("a scene of 1,000,000 × 64 pixels without data, in a few thousand bytes", () => {
  it.each([
    ["while it is looked at", 300, brightPolicy],
    ["while its windows are decided on", 6000, brightPolicy],
    ["while patches are acquired", 6000, takesAll],
  ])("lets a stop through, %s", async (_, afterMs, policy) => {
    const folder = temporaryFolder(onTestFinished);
    const path = join(folder, "wide.tif");
    writeFileSync(path, sparseScene(1_000_000, 64, 4096));
    expect(statSync(path).size).toBeLessThan(3000);
    const out = join(folder, "out");
    const { error, lateMs, longestMs } = await stopped(afterMs, (reporter) =>
      acquire(path, policy, { ...choices, out }, reporter),
    );
    expect(error).toBeInstanceOf(Stopped);
    expect(lateMs).toBeLessThan(promisedMs);
    expect(longestMs).toBeLessThan(promisedMs);
    expect(readdirSync(folder)).toEqual(["wide.tif"]);
  });
});

describe("a server that is waited for", () => {
  const answers: Record<string, RequestListener> = {
    "that says nothing": () => {},
    "that sends a byte now and then": (_, response) => {
      response.writeHead(206, { "content-range": "bytes 0-16383/100000", "content-length": 16_384, etag: '"1"' });
      const timer = setInterval(() => response.write("x"), 50);
      response.on("close", () => clearInterval(timer));
    },
    "that is to be asked again later": (_, response) => {
      response.writeHead(503, { "retry-after": "30" }).end();
    },
  };

  it.each(Object.entries(answers))("%s is waited for no longer", async (_, answer) => {
    const folder = temporaryFolder(onTestFinished);
    const server = createServer(answer);
    onTestFinished(() => {
      server.closeAllConnections();
      server.close();
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/scene.tif`;
    const { error, lateMs } = await stopped(300, (reporter) =>
      acquire(url, brightPolicy, { ...choices, out: join(folder, "out") }, reporter),
    );
    expect(error).toMatchObject({ signal: "SIGTERM" });
    expect(lateMs).toBeLessThan(promisedMs);
    expect(readdirSync(folder)).toEqual([]);
  });
});

describe("limits", () => {
  const refused = async (given: Partial<typeof choices>) => {
    const folder = temporaryFolder(onTestFinished);
    const path = join(folder, "scene.tif");
    await writeScene(path, blockScene(101, 75));
    const error = await acquire(path, brightPolicy, { ...choices, ...given, out: join(folder, "out") }).catch((e) => e);
    expect(readdirSync(folder)).toEqual(error instanceof Error ? ["scene.tif"] : ["out", "scene.tif"]);
    return error;
  };

  it("on a scene's pixels are exact, and say which flag raises them", async () => {
    expect(await refused({ max_pixels: 101 * 75 })).not.toBeInstanceOf(Error);
    expect(await refused({ max_pixels: 101 * 75 - 1 })).toMatchObject({
      kind: "resource",
      message: expect.stringMatching(
        /scene\.tif: must have at most 7574 pixels, got 101 × 75; cut it into smaller ones, or raise --max_pixels$/,
      ),
    });
  });

  it("on what is written are exact: of all files together", async () => {
    const folder = temporaryFolder(onTestFinished);
    const path = join(folder, "scene.tif");
    await writeScene(path, blockScene(101, 75));
    const make = async (name: string, max_output_bytes: number) => {
      const out = join(folder, name);
      await acquire(path, brightPolicy, { ...choices, max_output_bytes, out });
      // Dates have one length, but times and what is made of them may be written in more digits or fewer.
      const sizes = readdirSync(out).map((file) => statSync(join(out, file)).size);
      return sizes.reduce((sum, size) => sum + size, 0);
    };
    const bytes = await make("out", 1e9);
    expect(await make("enough", bytes + 100)).toBeLessThanOrEqual(bytes + 100);
    // savings.json and item.json are written last: without them it would be enough.
    await expect(make("too-few", bytes - 500)).rejects.toMatchObject({ kind: "resource" });
    expect(readdirSync(folder).sort()).toEqual(["enough", "out", "scene.tif"]);
  });

  it("on what is written stop it on its way, and say which flag raises them", async () => {
    expect(await refused({ max_output_bytes: 10_000 })).toMatchObject({
      kind: "resource",
      message: expect.stringMatching(
        /scene\.tif: what is written of it must have at most 10000 bytes, got \d{5} so far; .* raise --max_output_bytes$/,
      ),
    });
  });
});

it("merging a hundred thousand polygons lets signals in", async () => {
  const cells = Array.from({ length: 1_000_000 }, (_, n) => ({
    column: (2 * n) % 2000,
    row: 2 * Math.floor(n / 1000),
  }));
  const { lateMs, longestMs } = await stopped(0, async () => expect(await mergeCells(cells)).toHaveLength(100_000));
  // As a share of the whole, since machines differ; garbage collection alone takes some of it at once.
  expect(longestMs).toBeLessThan(lateMs / 3);
});
