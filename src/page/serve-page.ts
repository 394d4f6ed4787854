/** Hands out the browser page that was built into demo/dist, to this machine alone. */
import { createReadStream, readdirSync, statSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { extname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { type Fault, fault } from "../errors.ts";

export interface ServedPage {
  /** To open in a browser. */
  readonly address: string;
  /** Ends it, with the connections that are open. */
  close(): Promise<void>;
}

/** Where the page is built. */
const pageFolder = fileURLToPath(new URL("../../demo/dist/", import.meta.url));

const types: Readonly<Record<string, string>> = {
  ".html": "text/html; charset=utf-8",
  ".js": "text/javascript; charset=utf-8",
  ".css": "text/css; charset=utf-8",
  ".svg": "image/svg+xml",
  ".png": "image/png",
  ".wasm": "application/wasm",
  ".onnx": "application/octet-stream",
};

/**
 * Serves the page on 127.0.0.1 until it is closed.
 * @param port 0 takes any that is free
 * @throws input: the page is not built; system: the port can't be taken
 */
export async function servePage(port: number, folder = pageFolder): Promise<ServedPage> {
  const files = filesByAddress(folder);
  const server = createServer((request, response) => answer(files, request, response));
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error) => reject(portFault(port, error)));
    server.listen(port, "127.0.0.1", resolve);
  });
  const { port: taken } = server.address() as AddressInfo;
  const close = () =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
  return { address: `http://127.0.0.1:${taken}/`, close };
}

/** What is handed out is listed once: no address can lead to any other file. */
function filesByAddress(folder: string): Map<string, string> {
  const index = join(folder, "index.html");
  if (statSync(index, { throwIfNoEntry: false }) === undefined) {
    const next = "in a clone of the repository, npm run demo builds and serves it";
    throw fault("input", { where: index, rule: "is missing: the page has not been built", next });
  }
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" });
  const files = names.map((name) => [`/${name.split(sep).join("/")}`, join(folder, name)] as const);
  return new Map([...files.filter(([, file]) => statSync(file).isFile()), ["/", index]]);
}

function answer(files: ReadonlyMap<string, string>, { method, url = "" }: IncomingMessage, response: ServerResponse) {
  const file = files.get(url.replace(/[?#].*$/s, ""));
  if (method !== "GET" && method !== "HEAD") return refuse(response, 405, { allow: "GET, HEAD" });
  if (file === undefined) return refuse(response, 404, {});
  const stream = createReadStream(file);
  stream.once("open", () => {
    response.writeHead(200, {
      "content-type": types[extname(file)] ?? "application/octet-stream",
      "content-length": statSync(file).size,
      "cache-control": "no-cache",
      "x-content-type-options": "nosniff",
    });
    if (method === "HEAD") response.end();
    else stream.pipe(response);
  });
  stream.once("error", () => refuse(response, 404, {}));
  response.once("close", () => stream.destroy());
}

function refuse(response: ServerResponse, status: 404 | 405, headers: Record<string, string>): void {
  if (response.headersSent) response.destroy();
  else response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers }).end(`${status}\n`);
}

function portFault(port: number, error: NodeJS.ErrnoException) {
  const reasons: Readonly<Record<string, Omit<Fault, "where">>> = {
    EADDRINUSE: {
      rule: "must be a port that nothing else listens on",
      next: "give another, or 0 for any that is free",
    },
    EACCES: { rule: "must be a port that you may listen on", next: "give one above 1023" },
  };
  const reason = reasons[error.code ?? ""] ?? { rule: "must be a port that can be listened on", got: error.message };
  return fault("system", { where: `--port ${port}`, ...reason }, error);
}
