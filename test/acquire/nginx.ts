/** nginx, from Debian's packages, serving a folder on this machine with a log of what it sent. */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

/** Undefined where it is not installed. */
export function findNginx(): string | undefined {
  return ["nginx", "/usr/sbin/nginx"].find((name) => spawnSync(name, ["-v"]).status === 0);
}

export interface Logged {
  readonly status: number;
  /** Of the body. */
  readonly bytes: number;
  readonly range: string;
  readonly path: string;
  /** How many connections were open. */
  readonly connections: number;
}

export interface Nginx {
  readonly url: string;
  /** Stops it and tells what it has sent. */
  stop(): Promise<Logged[]>;
}

/**
 * @param scratch a folder of its own, for its log and its temporary files
 * @param rules of its configuration: those of http, and those of the server
 */
export async function startNginx(
  program: string,
  root: string,
  scratch: string,
  rules: { readonly http?: string; readonly server?: string } = {},
): Promise<Nginx> {
  mkdirSync(scratch, { recursive: true });
  const port = await freePort();
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"].map(
    (one) => `${one}_temp_path ${scratch}/${one};`,
  );
  writeFileSync(
    join(scratch, "nginx.conf"),
    `${process.getuid?.() === 0 ? "user root;" : ""}
    daemon off; master_process off; pid ${scratch}/pid; error_log ${scratch}/error.log;
    events {}
    http {
      ${temporary.join("\n")}
      log_format sent '$status $body_bytes_sent $http_range $request_uri $connections_active';
      access_log ${scratch}/access.log sent;
      server { listen 127.0.0.1:${port}; root ${root};
        ${rules.server ?? ""}
      }
      ${rules.http ?? ""}
    }`,
  );
  const child = spawn(program, ["-p", scratch, "-e", join(scratch, "error.log"), "-c", join(scratch, "nginx.conf")]);
  const url = `http://127.0.0.1:${port}`;
  await answers(url, child);
  return {
    url,
    async stop() {
      child.kill("SIGQUIT");
      if (child.exitCode === null) await once(child, "exit");
      const lines = readFileSync(join(scratch, "access.log"), "utf8").trimEnd().split("\n");
      const logged = lines.map((line) => line.split(" "));
      // The first is the question whether it is there.
      return logged.slice(1).map(([status, bytes, range, path, connections]) => ({
        ...{ status: Number(status), bytes: Number(bytes), range, path },
        connections: Number(connections),
      }));
    },
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function answers(url: string, child: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 200; attempt++) {
    if (child.exitCode !== null) throw new Error(`nginx ended with ${child.exitCode}`);
    const response = await fetch(`${url}/is-it-there`).catch(() => undefined);
    await response?.body?.cancel();
    if (response !== undefined) return;
    await delay(50);
  }
  throw new Error("nginx does not answer");
}
