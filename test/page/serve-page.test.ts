/** What the page's server hands out, and to whom. */
import { mkdirSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { beforeEach, describe, expect, it, type TestContext } from "vitest";
import { PatchDropError } from "../../src/errors.ts";
import { servePage } from "../../src/page/serve-page.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach((context) => {
  folder = join(temporaryFolder(context.onTestFinished), "dist");
  mkdirSync(join(folder, "assets"), { recursive: true });
  writeFileSync(join(folder, "index.html"), "<p>page</p>");
  writeFileSync(join(folder, "assets", "net.onnx"), Uint8Array.of(1, 2, 3));
  writeFileSync(join(folder, "assets", "ort.wasm"), "");
  writeFileSync(join(folder, "..", "secret.txt"), "secret");
});

async function served({ onTestFinished }: TestContext): Promise<string> {
  const { address, close } = await servePage(0, folder);
  onTestFinished(close);
  return address;
}

/** As it stands: fetch would resolve the dots itself. */
function ask(address: string, path: string, method = "GET"): Promise<{ status: number; type: string; body: string }> {
  const { port } = new URL(address);
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port, path, method }, async (answer) => {
      const parts: Buffer[] = [];
      for await (const part of answer) parts.push(part as Buffer);
      const type = answer.headers["content-type"] ?? "";
      resolve({ status: answer.statusCode!, type, body: Buffer.concat(parts).toString("latin1") });
    });
    asked.on("error", reject).end();
  });
}

const refused = async (work: Promise<unknown>) => {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof PatchDropError) return `${error.kind}: ${error.message}`;
  throw error ?? new Error("was not refused");
};

describe("servePage", () => {
  it("hands out the page and its files with their types", async (context) => {
    const address = await served(context);
    expect(address).toMatch(/^http:\/\/127\.0\.0\.1:\d+\/$/);
    const html = { status: 200, type: "text/html; charset=utf-8", body: "<p>page</p>" };
    expect(await ask(address, "/")).toEqual(html);
    expect(await ask(address, "/index.html?a=b")).toEqual(html);
    const onnx = { status: 200, type: "application/octet-stream", body: "\x01\x02\x03" };
    expect(await ask(address, "/assets/net.onnx")).toEqual(onnx);
    // Browsers compile it while it comes only under this type.
    expect(await ask(address, "/assets/ort.wasm")).toEqual({ status: 200, type: "application/wasm", body: "" });
    expect(await ask(address, "/", "HEAD")).toEqual({ ...html, body: "" });
  });

  it.each([
    "/../secret.txt",
    "/assets/../../secret.txt",
    "/%2e%2e/secret.txt",
    "/..%2fsecret.txt",
    "//secret.txt",
    "/assets",
    "/assets/",
    "/nothing",
    "/index.html%00",
  ])("hands out nothing else: %s", async (path) => {
    const { address, close } = await servePage(0, folder);
    expect(await ask(address, path).finally(close)).toMatchObject({ status: 404, body: "404\n" });
  });

  it("takes nothing", async (context) => {
    const address = await served(context);
    for (const method of ["POST", "PUT", "DELETE"]) expect((await ask(address, "/", method)).status).toBe(405);
  });

  it("says what to do about a port that is taken, and about a page that is not built", async (context) => {
    const { port } = new URL(await served(context));
    expect(await refused(servePage(Number(port), folder))).toBe(
      `system: --port ${port}: must be a port that nothing else listens on; give another, or 0 for any that is free`,
    );
    const none = join(folder, "assets");
    expect(await refused(servePage(0, none))).toBe(
      `input: ${join(none, "index.html")}: is missing: the page has not been built; in a clone of the repository, npm run demo builds and serves it`,
    );
  });
});
