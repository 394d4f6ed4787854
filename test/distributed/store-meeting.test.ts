/** Ranks as processes that meet in a store: a small one of the tests, and that of torchrun. */
import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeUnless } from "../describe-unless.ts";
import { noTorchrun } from "../launchers.ts";
import { StoreServer } from "./store-server.ts";

const rankFile = fileURLToPath(new URL("rank.ts", import.meta.url));
const command = (...more: readonly string[]) => [process.execPath, "--import", "tsx", rankFile, ...more];

interface Ended {
  readonly code: number | null;
  readonly lines: readonly string[];
  readonly stderr: string;
}

function run([file, ...args]: readonly string[], env: Record<string, string> = {}): Promise<Ended> {
  const child = spawn(file, args, { env: { ...process.env, ...env }, stdio: ["ignore", "pipe", "pipe"] });
  let [stdout, stderr] = ["", ""];
  child.stdout.on("data", (text) => (stdout += text));
  child.stderr.on("data", (text) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, lines: stdout.split("\n").filter(Boolean).sort(), stderr }));
  });
}

describe("processes in a store of the tests", () => {
  let server: StoreServer;
  beforeEach(async () => {
    server = await StoreServer.start();
  });
  afterEach(() => server.close());

  const ranks = (size: number, ...more: readonly string[]) => {
    const { host, port } = server.address;
    const common = { WORLD_SIZE: String(size), MASTER_ADDR: host, MASTER_PORT: String(port) };
    const served = { TORCHELASTIC_USE_AGENT_STORE: "True", TORCHELASTIC_RUN_ID: "test" };
    const one = (rank: number) =>
      run(command(...more), { ...common, ...served, RANK: String(rank), LOCAL_RANK: String(rank) });
    return Promise.all(Array.from({ length: size }, (_, rank) => one(rank)));
  };

  it("wait for one another, and hear what all say", async () => {
    const heard = "start 0 of 0, start 0 of 1, start 0 of 2";
    for (const [rank, { code, lines, stderr }] of (await ranks(3)).entries()) {
      expect({ code, lines }, stderr).toEqual({ code: 0, lines: [`${rank}: 0,1,2`, `${rank}: ${heard}`] });
    }
  });

  it("end as one of them ends", async () => {
    expect((await ranks(3, "7")).map(({ code }) => code)).toEqual([7, 7, 7]);
  });
});

describeUnless(noTorchrun, "processes of torchrun", () => {
  it.each([
    ["static, whose store lives on", ["--master-port", "29571"]],
    ["c10d", ["--standalone"]],
  ])("meet in its agent's store, and again after a restart, with the rendezvous %s", async (_, flags) => {
    const launch = ["torchrun", ...flags, "--no-python", "--nproc-per-node", "2", "--max-restarts", "1"];
    const { code, lines, stderr } = await run([...launch, ...command("7")]);
    expect({ code, lines }, stderr).toEqual({
      code: 0,
      lines: [0, 1].flatMap((rank) => [
        `${rank}: 0,1`,
        `${rank}: start 0 of 0, start 0 of 1`,
        `${rank}: start 1 of 0, start 1 of 1`,
      ]),
    });
  });
});
