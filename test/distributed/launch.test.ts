import { describe, expect, it } from "vitest";
import { join } from "../../src/distributed/join.ts";
import { isLaterRank, launchOf, storeOf } from "../../src/distributed/launch.ts";
import { refusal } from "../refusal.ts";

const mpirun = (rank: number, size: number, local = rank) => ({
  OMPI_COMM_WORLD_RANK: String(rank),
  OMPI_COMM_WORLD_SIZE: String(size),
  OMPI_COMM_WORLD_LOCAL_RANK: String(local),
});
const srun = (rank: number, size: number, local = rank) => ({
  SLURM_PROCID: String(rank),
  SLURM_STEP_NUM_TASKS: String(size),
  SLURM_LOCALID: String(local),
});
const torchrun = (rank: number, size: number, local = rank) => ({
  RANK: String(rank),
  WORLD_SIZE: String(size),
  LOCAL_RANK: String(local),
});

describe("who speaks of an error", () => {
  it.each([
    [{}, false],
    [mpirun(0, 2), false],
    [mpirun(1, 2), true],
    [srun(1, 1), false],
    // Wrong as a whole, and yet it is clear that another will say so.
    [{ ...mpirun(1, 2), ...torchrun(0, 4) }, true],
    [{ RANK: "x", WORLD_SIZE: "4" }, false],
  ])("of %o: not this rank is %s", (environment, expected) => {
    expect(isLaterRank(environment)).toBe(expected);
  });
});

describe("what started a process", () => {
  it.each([
    ["nobody", {}, undefined],
    ["mpirun, on the second of two machines", mpirun(5, 8, 1), { by: "mpirun", rank: 5, size: 8, localRank: 1 }],
    ["srun", srun(2, 3), { by: "srun", rank: 2, size: 3, localRank: 2 }],
    ["torchrun", torchrun(0, 2), { by: "torchrun", rank: 0, size: 2, localRank: 0 }],
    ["mpirun, with one process", mpirun(0, 1), undefined],
    // Slurm tells the script of a job of four tasks that it is the first.
    ["a job's script", { SLURM_PROCID: "0", SLURM_NTASKS: "4", SLURM_LOCALID: "0" }, undefined],
    [
      "srun with PMIx, which mpirun's variables may come with",
      { ...mpirun(1, 2), ...srun(1, 2) },
      { by: "mpirun", rank: 1, size: 2, localRank: 1 },
    ],
    [
      "mpirun in a step of one task",
      { ...mpirun(1, 2), ...srun(0, 1) },
      { by: "mpirun", rank: 1, size: 2, localRank: 1 },
    ],
    [
      "torchrun, which srun has started once on each of two machines",
      { ...srun(1, 2, 0), ...torchrun(9, 16, 1), TORCHELASTIC_RUN_ID: "7" },
      { by: "torchrun", rank: 9, size: 16, localRank: 1 },
    ],
    ["a user's own variable", { RANK: "colonel" }, undefined],
    ["nobody, as an empty variable says", { ...torchrun(0, 2), WORLD_SIZE: "" }, undefined],
  ])("is %s", (_, environment, expected) => {
    expect(launchOf(environment)).toEqual(expected);
  });

  it.each([
    [
      { WORLD_SIZE: "2" },
      ["RANK", "LOCAL_RANK"].map((name) => `${name}: must be a whole number, as its launcher sets it, got nothing`),
    ],
    [torchrun(2, 2), ["RANK: must be below WORLD_SIZE, and not below the local rank, got 2 of 2, local 2"]],
    [torchrun(0, 2, 1), ["RANK: must be below WORLD_SIZE, and not below the local rank, got 0 of 2, local 1"]],
    [{ ...torchrun(0, 2), RANK: "-1" }, ["RANK: must be a whole number, as its launcher sets it, got -1"]],
  ])("%o is refused", (environment, rules) => {
    const lines = rules.map((rule) => `${rule}; start with torchrun, or unset RANK, WORLD_SIZE, LOCAL_RANK`);
    expect(() => launchOf(environment)).toThrow(lines.join("\n"));
  });

  it("is refused where two say different ranks", () => {
    expect(() => launchOf({ ...mpirun(1, 2), ...torchrun(0, 2) })).toThrow(
      "environment: must come from one launcher, got rank 1 of 2 (mpirun) and rank 0 of 2 (torchrun); start with one of them, and unset what the other left",
    );
  });
});

describe("where the ranks of torchrun meet", () => {
  const whole = {
    MASTER_ADDR: "node1",
    MASTER_PORT: "29500",
    TORCHELASTIC_USE_AGENT_STORE: "True",
    TORCHELASTIC_RUN_ID: "none",
  };

  it("is what its agent says", () => {
    expect(storeOf(whole)).toEqual({ address: { host: "node1", port: 29_500 }, job: "patchdrop/none" });
  });

  it.each([
    [
      { ...whole, MASTER_PORT: undefined },
      "MASTER_PORT: must be a port from 1 to 65535, got nothing; start with torchrun, which sets it",
    ],
    [
      { ...whole, MASTER_PORT: "29500a" },
      "MASTER_PORT: must be a port from 1 to 65535, got 29500a; start with torchrun, which sets it",
    ],
    [
      { ...whole, MASTER_PORT: "65536" },
      "MASTER_PORT: must be a port from 1 to 65535, got 65536; start with torchrun, which sets it",
    ],
    [
      { ...whole, MASTER_PORT: "0" },
      "MASTER_PORT: must be a port from 1 to 65535, got 0; start with torchrun, which sets it",
    ],
    [
      { ...whole, TORCHELASTIC_USE_AGENT_STORE: "False" },
      "TORCHELASTIC_USE_AGENT_STORE: must be True, since the store of torchrun's own agent is what ranks meet by, got False; unset TORCH_DISABLE_SHARE_RDZV_TCP_STORE, and start with torchrun of PyTorch 2.4 or newer",
    ],
    [
      { ...whole, TORCHELASTIC_USE_AGENT_STORE: undefined },
      "TORCHELASTIC_USE_AGENT_STORE: must be True, since the store of torchrun's own agent is what ranks meet by, got nothing; unset TORCH_DISABLE_SHARE_RDZV_TCP_STORE, and start with torchrun of PyTorch 2.4 or newer",
    ],
    [
      { TORCHELASTIC_USE_AGENT_STORE: "True" },
      "MASTER_ADDR: must be a host's name or address, got nothing; start with torchrun, which sets it\nMASTER_PORT: must be a port from 1 to 65535, got nothing; start with torchrun, which sets it\nTORCHELASTIC_RUN_ID: must be the job's name, got nothing; start with torchrun, which sets it",
    ],
    ...[undefined, ""].map((job): [Record<string, string | undefined>, string] => [
      { ...whole, TORCHELASTIC_RUN_ID: job },
      "TORCHELASTIC_RUN_ID: must be the job's name, got nothing; start with torchrun, which sets it",
    ]),
  ])("%o is refused", (environment, message) => {
    expect(refusal(() => storeOf(environment)).message).toBe(message);
  });
});

describe("joining", () => {
  it("a process that is alone has nobody to wait for", () => {
    const { group } = join(launchOf({}));
    expect([group.rank, group.size, group.exchange("own")]).toEqual([0, 1, ["own"]]);
  });

  it.each([
    [torchrun(0, 2), "MASTER_ADDR: must be a host's name or address, got nothing; start with torchrun, which sets it"],
    [
      srun(0, 2),
      "srun: must be told to start MPI processes, which it does by PMIx, got 2 ranks without; give it --mpi=pmix",
    ],
  ])("%o is refused", (environment, message) => {
    expect(() => join(launchOf(environment), environment)).toThrow(message);
  });
});
