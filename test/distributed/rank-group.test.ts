/** Which device a rank takes of the one that all are told. */
import { describe, expect, it } from "vitest";
import type { Launch } from "../../src/distributed/launch.ts";
import type { Meeting } from "../../src/distributed/meeting.ts";
import { alone, type Collectives } from "../../src/distributed/process-group.ts";
import { RankGroup } from "../../src/distributed/rank-group.ts";

const none = () => undefined;

/** Rank 5 of 8, the second on its machine, which has so many GPUs. */
function group(by: Launch["by"], count: number): RankGroup {
  const meeting: Meeting = { rank: 5, size: 8, exchange: (value) => [value], leave: none, abort: none };
  const onCpu: Collectives | undefined = by === "torchrun" ? undefined : alone;
  const gpu = { name: "GPU", memoryBytes: 0, computeCapability: "9.0" };
  const gpus = () => ({ gpus: Array.from({ length: count }, () => gpu) });
  return new RankGroup({ launch: { by, rank: 5, size: 8, localRank: 1 }, meeting, onCpu, gpus });
}

describe("of ranks that are told", () => {
  it.each([
    ["cpu", "mpirun", 0, "cpu"],
    ["cuda", "mpirun", 2, "cuda:1"],
    ["cuda", "srun", 4, "cuda:1"],
    ["cuda", "torchrun", 2, "cuda:1"],
    // What opens the GPU says then that there is none.
    ["cuda", "torchrun", 0, "cuda"],
  ] as const)("%s, by %s, with %i GPUs, the second on its machine takes %4$s", (told, by, count, own) => {
    expect(group(by, count).deviceFor(told)).toBe(own);
  });

  it.each([
    [
      ...(["cpu", "torchrun", 2] as const),
      "torchrun: ranks on CPUs exchange numbers by MPI, which torchrun does not start, got 8 ranks; give --device cuda, or start with mpirun -n 8 patchdrop …",
    ],
    [
      ...(["cuda:1", "mpirun", 2] as const),
      "--device: must be cpu or cuda on many ranks, each of which takes the GPU of its own number on its machine, got cuda:1; give --device cuda",
    ],
    [
      ...(["cuda", "torchrun", 1] as const),
      "--device cuda: needs a GPU for each rank of a machine, got 1, and 2 ranks or more; start 1 a machine; under Slurm, let each task see all GPUs of its machine",
    ],
  ])("%s, by %s, with %i GPUs, it refuses", (told, by, count, message) => {
    expect(() => group(by, count).deviceFor(told)).toThrow(message);
  });
});

it("a process that is alone takes what it is told", () => {
  expect(alone.deviceFor("cuda:3")).toBe("cuda:3");
});
