/** A small HTTP server of one file, which can misbehave. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export type Answer = (
  request: IncomingMessage,
  response: ServerResponse,
  range: { start: number; end: number },
) => void;

export interface FileServer {
  readonly url: string;
  /** Ranges in the order of the requests, "0-99"; "whole" where none was asked for. */
  readonly ranges: string[];
  /** Bytes of bodies that were handed to the connection. */
  readonly sent: number;
  readonly close: () => Promise<void>;
}

/** Answers the n-th request with the n-th answer; the last one stays. */
export async function serveFile(content: Uint8Array, ...answers: Answer[]): Promise<FileServer> {
  const state = { ranges: [] as string[], sent: 0 };
  const normal: Answer = (_, response, { start, end }) => {
    const range = `bytes ${start}-${end - 1}/${content.length}`;
    response.writeHead(206, { "content-range": range, "content-length": end - start, etag: '"1"' });
    response.end(content.subarray(start, end));
    state.sent += end - start;
  };
  const all = answers.length === 0 ? [normal] : answers;
  const server: Server = createServer((request, response) => {
    const [, from, to] = (/^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? "") ?? ["", 0, content.length - 1]).map(
      Number,
    );
    state.ranges.push(request.headers.range === undefined ? "whole" : `${from}-${to}`);
    const answer = all[Math.min(state.ranges.length, all.length) - 1];
    (answer === regular ? normal : answer)(request, response, { start: from, end: Math.min(to + 1, content.length) });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return Object.assign(state, {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/scene.tif?signature=secret`,
    async close() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  });
}

/** Stands for what a good server says. */
export const regular: Answer = () => {};
