/** Ranks as processes that meet in a store: a small one of the tests, and that of torchrun. */
import { spawn } from "node:child_process";
import { type AddressInfo, createServer } from "node:net";
import { fileURLToPath } from "node:url";
import { serialize } from "node:v8";
import { type TransferListItem, Worker } from "node:worker_threads";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { StoreMeeting } from "../../src/distributed/store-meeting.ts";
import { describeUnless } from "../describe-unless.ts";
import { noTorchrun } from "../launchers.ts";
import { refusal } from "../refusal.ts";
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

/** What the thread runs instead of store-thread.ts. */
let script = "";
vi.mock("../../src/utils/start-thread.ts", () => ({
  startThread: (
    _name: string,
    _beside: string,
    workerData: unknown,
    { transferList }: { transferList: TransferListItem[] },
  ) => new Worker(script, { eval: true, workerData, transferList, stderr: true }),
}));

describe("a thread that talks to the store no more", () => {
  const address = { host: "127.0.0.1", port: 1 };
  const member = { job: "job", rank: 0, size: 1 };
  const limits = { meetMs: 50, exchangeMs: 200, threadMs: 1000 };
  const lost = (got: string) => ({
    kind: "system",
    message: `torchrun's store: the thread that talks to it must live, and answer, got ${got}; see whether this machine has memory left, and start again`,
  });
  /** A thread of the tests: starts, then answers each question as the code says that is given it. */
  const answering = (code: string) => `
    const { workerData: { port, answers } } = require("node:worker_threads");
    const say = (words) => { port.postMessage(words); Atomics.add(answers, 0, 1); Atomics.notify(answers, 0); };
    port.on("message", (question) => { ${code} });
    say({ values: [] });`;

  it.each([
    ["that can't be loaded", "throw new Error('no such module')", "nothing within 1 s"],
    ["that ends as it is asked", answering("process.exit(0)"), "nothing within 1.1 s"],
    ["that never answers", answering(""), "nothing within 1.1 s"],
  ])("%s ends the waiting", (_, code, got) => {
    script = code;
    expect(refusal(() => new StoreMeeting(address, member, limits))).toMatchObject(lost(got));
  });

  it("is not waited for again", () => {
    script = answering("question.is === 'meet' ? say({ values: [] }) : process.exit(0)");
    const meeting = new StoreMeeting(address, member, limits);
    expect(refusal(() => meeting.exchange("own"))).toMatchObject(lost("nothing within 1.2 s"));
    const begun = performance.now();
    expect(refusal(() => meeting.exchange("own"))).toMatchObject(lost("nothing within 1.2 s"));
    meeting.abort(1);
    expect(performance.now() - begun).toBeLessThan(1000);
  });

  it("says at once why, as its last word", async () => {
    const silent = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => silent.once("listening", resolve));
    const thread = new URL("../../src/distributed/store-thread.ts", import.meta.url).href;
    script = `import("tsx/esm/api").then(async ({ register }) => {
      register();
      await import("${thread}");
      setTimeout(() => { throw new Error("out of luck"); }, 100);
    });`;
    const { port } = silent.address() as AddressInfo;
    const meet = () => new StoreMeeting({ ...address, port }, member, { ...limits, threadMs: 60_000 });
    expect(refusal(meet)).toMatchObject(lost("out of luck"));
    // Nor does its end end this process.
    await new Promise((resolve) => setTimeout(resolve, 100));
    silent.close();
  });

  it("may have heard what can't be read: the rank that said it is named", () => {
    script = answering(
      `say({ values: question.is === "meet" ? [] : [new Uint8Array(${JSON.stringify([...serialize("own")])}), Uint8Array.of(1, 2)] })`,
    );
    const meeting = new StoreMeeting(address, { ...member, size: 2 }, limits);
    expect(refusal(() => meeting.exchange("own"))).toMatchObject({
      kind: "system",
      message:
        "rank 1: must say what this rank can read, got Unable to deserialize cloned data due to invalid or unsupported version.; start all ranks with one version of Node and of patchdrop",
    });
    meeting.leave();
  });
});
