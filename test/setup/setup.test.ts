import { spawn } from "node:child_process";
import { existsSync, readdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import os from "node:os";
import path from "node:path";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { findLibtorch } from "../../src/native/find.ts";
import { type SetupOptions, setupLibtorch } from "../../src/setup/setup.ts";
import { archiveUrl } from "../../src/setup/sources.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { type FakeOptions, fakeFiles, platform, writeFake, writeFileAt } from "./fake-libtorch.ts";
import { zip } from "./zip.ts";

let folder: string;
let env: NodeJS.ProcessEnv;
let cache: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  env = { PATH: "/nonexistent", PATCHDROP_CACHE: path.join(folder, "cache") };
  cache = path.join(folder, "cache/libtorch");
});

const setup = (options: SetupOptions) => setupLibtorch({ env, ...options });

function libtorchZip(options: FakeOptions = {}): Buffer {
  const files = fakeFiles({ layout: "archive", version: "2.15.0+cpu", ...options });
  return zip([...files].map(([name, bytes]) => ({ name: `libtorch/${name}`, bytes })));
}

function writeZip(name: string, bytes = libtorchZip()): string {
  const file = path.join(folder, name);
  writeFileSync(file, bytes);
  return file;
}

/** What the cache holds, but for the lock's and the temporary names, of which there must be none. */
const cached = () => readdirSync(cache).sort();

/** A server on this machine that answers each request with `bytes`, or 404 when there are none. */
async function serve(bytes: Buffer | undefined): Promise<{ url: string; requests: string[] }> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(request.url ?? "");
    if (bytes === undefined) response.writeHead(404).end();
    else response.writeHead(200, { "content-length": bytes.length }).end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/libtorch.zip`, requests };
}

describe("what is here already is used", () => {
  test("a named PyTorch, and nothing is made", async () => {
    const torch = writeFake(path.join(folder, "torch"), { version: "2.13.0+cpu" });
    const { found, fetched, shadowedBy } = await setup({ torch });
    expect([found.root, found.source, fetched, shadowedBy]).toEqual([torch, "--torch", false, undefined]);
    expect(existsSync(cache)).toBe(false);
  });

  test("but a named one that is not what is asked for is an error", async () => {
    const torch = writeFake(path.join(folder, "torch"), { version: "2.13.0+cpu" });
    await expect(setup({ torch, version: "2.15.0" })).rejects.toMatchObject({
      kind: "input",
      message: `--torch: ${torch} is 2.13.0+cpu, not 2.15.0`,
    });
    await expect(setup({ torch, cuda: true })).rejects.toMatchObject({
      message: `--torch: ${torch} has no CUDA libraries, or not all of them`,
    });
  });
});

describe("--from", () => {
  test("a zip file: unpacked into the cache, found there, and free of cost the second time", async () => {
    const from = writeZip("libtorch.zip");
    const first = await setup({ from });
    const root = path.join(cache, `2.15.0-cpu-${platform}`, "libtorch");
    expect(first).toMatchObject({ fetched: true, shadowedBy: undefined, found: { root, version: "2.15.0+cpu" } });
    expect(findLibtorch({ env })).toMatchObject({ root, source: "cache" });
    expect(cached()).toEqual([`2.15.0-cpu-${platform}`]);

    writeFileSync(path.join(root, "kept"), "");
    expect(await setup({ from })).toMatchObject({ fetched: false, found: { root } });
    expect(existsSync(path.join(root, "kept"))).toBe(true);
  });

  test("a file that has changed since is unpacked again", async () => {
    const from = writeZip("libtorch.zip");
    await setup({ from });
    writeZip("libtorch.zip", libtorchZip({ version: "2.15.0+cpu.cxx11" }));
    expect(await setup({ from })).toMatchObject({ fetched: true, found: { version: "2.15.0+cpu.cxx11" } });
    expect(cached()).toEqual([`2.15.0-cpu-${platform}`]);
  });

  test("a cached folder that was damaged is replaced", async () => {
    const from = writeZip("libtorch.zip");
    const { found } = await setup({ from });
    for (const name of readdirSync(found.libDir)) writeFileSync(path.join(found.libDir, name), "");
    expect(await setup({ from })).toMatchObject({ fetched: true });
    expect(findLibtorch({ env }).root).toBe(found.root);
  });

  test("a folder, with the nvidia packages beside it", async () => {
    writeFake(path.join(folder, "site/torch"), { version: "2.12.1" });
    writeFileAt(path.join(folder, "site/nvidia/cu13/lib/libx.so"), "x");
    writeFileAt(path.join(folder, "site/unrelated/x"), "x");
    await setup({ from: path.join(folder, "site") });
    expect(readdirSync(path.join(cache, `2.12.1-cpu-${platform}`)).sort()).toEqual(["nvidia", "origin.txt", "torch"]);
  });

  test("an address: one download, however often it is asked for", async () => {
    const { url, requests } = await serve(libtorchZip());
    const both = await Promise.all([setup({ from: url }), setup({ from: url })]);
    expect(both.map(({ fetched }) => fetched).sort()).toEqual([false, true]);
    await setup({ from: url });
    expect(requests).toEqual(["/libtorch.zip"]);
    expect(cached()).toEqual([`2.15.0-cpu-${platform}`]);
  });

  test("says when another libtorch comes first all the same", async () => {
    await setup({ from: writeZip("a.zip") });
    const older = await setup({ from: writeZip("b.zip", libtorchZip({ version: "2.11.0+cpu" })) });
    expect(older.found.version).toBe("2.11.0+cpu");
    expect(older.shadowedBy?.version).toBe("2.15.0+cpu");
  });

  test("reports its steps", async () => {
    const { url } = await serve(libtorchZip());
    const steps: string[] = [];
    await setup({ from: url, onProgress: ({ step }) => steps.at(-1) !== step && steps.push(step) });
    expect(steps).toEqual(["fetching libtorch.zip", "unpacking", "checking"]);
  });
});

describe("what cannot be used leaves nothing behind", () => {
  const cases: [string, Buffer, SetupOptions, { kind: string; message: RegExp }][] = [
    [
      "no libtorch in it",
      zip([{ name: "x", bytes: Buffer.from("x") }]),
      {},
      { kind: "input", message: /holds no lib\/libtorch_cpu/ },
    ],
    [
      "an empty library",
      libtorchZip({ cpu: Buffer.alloc(0) }),
      {},
      { kind: "input", message: /libtorch_cpu\.\w+ is empty/ },
    ],
    ["too old", libtorchZip({ version: "2.9.0" }), {}, { kind: "input", message: /is PyTorch 2\.9\.0/ }],
    [
      "another version",
      libtorchZip(),
      { version: "2.14.0" },
      { kind: "input", message: /is 2\.15\.0\+cpu, not 2\.14\.0/ },
    ],
    ["no CUDA", libtorchZip(), { cuda: true }, { kind: "input", message: /has no CUDA libraries/ }],
    ["truncated", libtorchZip().subarray(0, 500), {}, { kind: "input", message: /must be a whole zip archive/ }],
    [
      "hostile",
      zip([{ name: "../../x", bytes: Buffer.from("x") }]),
      {},
      { kind: "unsafe", message: /must lie inside the archive/ },
    ],
  ];
  test.each(cases)("an archive: %s", async (_, bytes, options, { kind, message }) => {
    const { url } = await serve(bytes);
    await expect(setup({ from: url, ...options })).rejects.toMatchObject({
      kind,
      message: expect.stringMatching(message),
    });
    expect(cached()).toEqual([]);
    expect(readdirSync(folder)).toEqual(["cache"]);
  });

  test("an address with nothing there", async () => {
    const { url } = await serve(undefined);
    await expect(setup({ from: url })).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("HTTP 404"),
    });
    expect(cached()).toEqual([]);
  });

  test("a path with nothing there", async () => {
    await expect(setup({ from: "/absent.zip" })).rejects.toMatchObject({
      kind: "input",
      message: expect.stringContaining("got /absent.zip (ENOENT)"),
    });
  });

  test("a cache that cannot be made", async () => {
    writeFileSync(path.join(folder, "cache"), "a file");
    await expect(setup({ from: writeZip("libtorch.zip") })).rejects.toMatchObject({ kind: "system", exitCode: 5 });
  });
});

describe("options", () => {
  test.each(["2.15", "2.9.1", "3.0.0", "latest", "2.15.0; rm -rf /", "--help"])(
    "--torch_version %s is refused",
    async (version) => {
      await expect(setup({ version })).rejects.toMatchObject({
        kind: "usage",
        exitCode: 2,
        message: `--torch_version: must be a PyTorch version such as 2.15.0, 2.10 or newer, below 3, got ${version}`,
      });
    },
  );

  test("--from and --torch together are refused", async () => {
    await expect(setup({ from: "pip", torch: "/x" })).rejects.toMatchObject({ kind: "usage" });
  });

  test("PyTorch's own archives", () => {
    const base = "https://download.pytorch.org/libtorch";
    expect(archiveUrl("2.15.0", false, "linux-x64")).toBe(`${base}/cpu/libtorch-shared-with-deps-2.15.0%2Bcpu.zip`);
    expect(archiveUrl("2.15.0", true, "linux-x64")).toBe(`${base}/cu130/libtorch-shared-with-deps-2.15.0%2Bcu130.zip`);
    expect(archiveUrl("2.15.0", false, "darwin-arm64")).toBe(`${base}/cpu/libtorch-macos-arm64-2.15.0.zip`);
    expect(() => archiveUrl("2.15.0", true, "darwin-arm64")).toThrow("got darwin-arm64 with CUDA; use --from pip");
    expect(() => archiveUrl("2.15.0", false, "linux-arm64")).toThrow("got linux-arm64;");
  });
});

describe("interrupted setups", () => {
  test("their temporary folders are removed by the next one", async () => {
    writeFileAt(path.join(cache, ".temporary-1/torch/lib/half"), "half");
    await setup({ from: writeZip("libtorch.zip") });
    expect(cached()).toEqual([`2.15.0-cpu-${platform}`]);
  });

  test("one that is still at work is waited for", async () => {
    const other = spawn(process.execPath, ["-e", "setTimeout(() => {}, 60000)"]);
    onTestFinished(() => void other.kill("SIGKILL"));
    writeFileAt(path.join(cache, ".lock"), JSON.stringify({ pid: other.pid, host: os.hostname() }));
    const steps: string[] = [];
    const onProgress = ({ step }: { step: string }) => {
      if (steps.push(step) === 1) other.kill("SIGKILL");
    };
    await setup({ from: writeZip("libtorch.zip"), onProgress });
    expect(steps[0]).toBe(
      `waiting for another \`patchdrop setup\` (process ${other.pid}, by ${path.join(cache, ".lock")})`,
    );
    expect(cached()).toEqual([`2.15.0-cpu-${platform}`]);
  });
});
