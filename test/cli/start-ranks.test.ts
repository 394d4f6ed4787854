/** `--parallel`: how many ranks, how they are started, and how they end. */
import { spawnSync } from "node:child_process";
import { chmodSync, existsSync, readFileSync, writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { afterAll, describe, expect, it, vi } from "vitest";
import { gpusFor, runOnRanks } from "../../src/cli/start-ranks.ts";
import { temporaryFolder } from "../temporary-folder.ts";

const folder = temporaryFolder(afterAll);
const hasMpirun = spawnSync("mpirun", ["--version"]).status === 0;

/** Open MPI asks for it. */
function asRoot(): void {
  vi.stubEnv("OMPI_ALLOW_RUN_AS_ROOT", "1");
  vi.stubEnv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1");
}

describe("how many", () => {
  const cuda = { parallel: true, device: "cuda" };

  it.each([
    [[cuda], 3, 3],
    [[cuda, { device: "cuda" }], 2, 2],
    [[cuda], 1, "there is one GPU"],
    [[cuda], 0, "there is no GPU"],
    [[{ parallel: true }], 2, "it is for GPUs (mpirun -n N starts ranks on CPUs)"],
    [[{ parallel: true, device: "cuda:1" }], 2, "--device cuda:1 is one GPU"],
    [[cuda, { parallel: true, device: "cpu" }], 2, "it is for GPUs (mpirun -n N starts ranks on CPUs)"],
  ])("%o on %i GPUs: %s", (work, gpus, expected) => {
    expect(gpusFor(work, () => gpus)).toBe(expected);
  });
});

describe("the ranks", () => {
  it("are started by mpirun, each with its share of the processors", async () => {
    const fake = join(folder, "mpirun");
    writeFileSync(fake, `#!/bin/sh\necho "$OMP_NUM_THREADS" "$@" > ${folder}/said\nexit 7\n`);
    chmodSync(fake, 0o755);
    vi.stubEnv("OMP_NUM_THREADS", undefined);
    const end = await runOnRanks(2, ["node", "main.js", "pretrain"], fake);
    vi.unstubAllEnvs();
    const threads = Math.max(1, Math.floor(availableParallelism() / 2));
    expect(readFileSync(join(folder, "said"), "utf8")).toBe(
      `${threads} --bind-to none --oversubscribe -n 2 node main.js pretrain\n`,
    );
    expect(end).toEqual({ code: 7, stopped: undefined });
  });

  it("need mpirun", async () => {
    await expect(runOnRanks(2, ["true"], join(folder, "none"))).rejects.toThrow(
      /^--parallel: needs Open MPI's mpirun, to start one rank a GPU, got spawn .* ENOENT; install Open MPI/,
    );
  });

  it.skipIf(!hasMpirun)(
    `end behind a signal that came before they were started, and behind a second one if they do not heed the first`,
    async () => {
      asRoot();
      const early = runOnRanks(2, ["sh", "-c", "while :; do sleep 0.05; done"]);
      process.emit("SIGTERM", "SIGTERM");
      expect(await early).toEqual({ code: 138, stopped: "SIGTERM" });
      const deaf = runOnRanks(2, ["sh", "-c", `trap '' USR1; : > ${folder}/deaf; while :; do sleep 0.05; done`]);
      vi.unstubAllEnvs();
      while (!existsSync(join(folder, "deaf"))) await delay(20);
      process.emit("SIGUSR1", "SIGUSR1");
      await delay(400);
      process.emit("SIGINT", "SIGINT");
      expect(await deaf).toMatchObject({ stopped: "SIGUSR1" });
    },
    60_000,
  );

  it.skipIf(!hasMpirun)(
    `end behind a signal to this process${hasMpirun ? "" : " (no mpirun here)"}`,
    async () => {
      const former = process.listeners("SIGTERM");
      asRoot();
      const script = `trap 'exit 138' USR1; : > ${folder}/up-$OMPI_COMM_WORLD_RANK; while :; do sleep 0.05; done`;
      const ended = runOnRanks(2, ["sh", "-c", script]);
      vi.unstubAllEnvs();
      while (![0, 1].every((rank) => existsSync(join(folder, `up-${rank}`)))) await delay(20);
      process.emit("SIGTERM", "SIGTERM");
      expect(await ended).toEqual({ code: 138, stopped: "SIGTERM" });
      expect(process.listeners("SIGTERM")).toEqual(former);
    },
    60_000,
  );
});
