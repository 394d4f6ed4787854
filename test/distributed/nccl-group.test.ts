/** What is asked of NCCL, in which order and with which arguments, and what its refusals look like; on a simulated one. */
import { beforeAll, describe, expect, it } from "vitest";
import { NcclGroup } from "../../src/distributed/nccl-group.ts";
import { exitCodes } from "../../src/errors.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import type { NcclSymbols } from "../../src/native/nccl.ts";
import { scope } from "../../src/tensor/scope.ts";
import { addressOf, empty, zeros } from "../../src/tensor/tensor.ts";
import { refusal } from "../refusal.ts";
import { prompt, SimulatedCuda } from "../tensor/simulated-cuda.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

const identity = Uint8Array.from({ length: 128 }, (_, n) => n);
const communicator = 77n;

/** NCCL, which writes down what it is asked, and fails where it is told to. */
function simulated(failing: Readonly<Record<string, number>> = {}) {
  const calls: unknown[][] = [];
  const noting = (name: string, act?: (...given: never[]) => void) => {
    return (...given: unknown[]) => {
      calls.push([name, ...given.map((one) => (one instanceof BigUint64Array ? "out" : one))]);
      act?.(...(given as never[]));
      return failing[name] ?? 0;
    };
  };
  const symbols: NcclSymbols = {
    ncclGetVersion: noting("ncclGetVersion"),
    ncclGetUniqueId: noting("ncclGetUniqueId", (id: Uint8Array) => id.set(identity)),
    ncclCommInitRank: noting("ncclCommInitRank", (out: BigUint64Array) => out.set([communicator])),
    ncclAllReduce: noting("ncclAllReduce"),
    ncclAllGather: noting("ncclAllGather"),
    ncclBroadcast: noting("ncclBroadcast"),
    ncclCommDestroy: noting("ncclCommDestroy"),
    ncclCommAbort: noting("ncclCommAbort"),
    ncclGetErrorString: (result) => `error ${result}`,
    ncclGetLastError: () => "Duplicate GPU detected",
  };
  const cuda = new SimulatedCuda(prompt);
  const stream = cuda.device.compute.handle;
  return { calls, stream, cuda, parts: { symbols, gpu: cuda.device, device: "cpu" as const } };
}

/** What the first rank of four says to the others, who say nothing. */
const meeting = (rank: number) => ({
  rank,
  size: 4,
  exchange: <T>(value: T): T[] => [rank === 0 ? value : (identity as T), value, value, value],
});

describe("a communicator", () => {
  it("is made of the first rank's identity", () => {
    const { calls, parts } = simulated();
    new NcclGroup(meeting(0), parts);
    expect(calls).toEqual([
      ["ncclGetUniqueId", identity],
      ["ncclCommInitRank", "out", 4, { internal: identity }, 0],
    ]);
  });

  it("is made by the others of what they are told", () => {
    const { calls, parts } = simulated();
    new NcclGroup(meeting(2), parts);
    expect(calls).toEqual([["ncclCommInitRank", "out", 4, { internal: identity }, 2]]);
  });

  it("that cannot be made says why", () => {
    const error = refusal(() => new NcclGroup(meeting(1), simulated({ ncclCommInitRank: 5 }).parts));
    expect(error.message).toBe(
      "ncclCommInitRank: must succeed among the GPUs of all ranks, got NCCL error 5: error 5: Duplicate GPU detected; start again with NCCL_DEBUG=INFO, which says why",
    );
    expect(error.exitCode).toBe(exitCodes.system);
  });

  it("is ended behind all work, or without waiting for it", () => {
    const { calls, cuda, parts } = simulated();
    const group = new NcclGroup(meeting(1), parts);
    group.leave();
    expect(cuda.calls).toEqual(["cudaStreamSynchronize"]);
    group.abort();
    expect(calls.slice(1)).toEqual([
      ["ncclCommDestroy", communicator],
      ["ncclCommAbort", communicator],
    ]);
    expect(cuda.calls).toEqual(["cudaStreamSynchronize"]);
  });
});

describe("tensors", () => {
  it("are handed over with their addresses and lengths, as float32 (7), on the computing stream", () => {
    const { calls, stream, parts } = simulated();
    const group = new NcclGroup(meeting(1), parts);
    scope(() => {
      const [own, all] = [zeros([3]), zeros([4, 3])];
      group.allReduce(own);
      group.allGather(own, all);
      group.broadcast(own);
      // ncclSum is 0, and so is the rank that broadcasts.
      expect(calls.slice(1)).toEqual([
        ["ncclAllReduce", addressOf(own), addressOf(own), 3, 7, 0, communicator, stream],
        ["ncclAllGather", addressOf(own), addressOf(all), 3, 7, communicator, stream],
        ["ncclBroadcast", addressOf(own), addressOf(own), 3, 7, 0, communicator, stream],
      ]);
    });
  });

  it("of another type are refused", () => {
    const group = new NcclGroup(meeting(1), simulated().parts);
    scope(() => {
      expect(() => group.allReduce(empty([3], "int64", "cpu"))).toThrow("needs float32 on cpu, got int64 on cpu");
    });
  });

  it("that cannot be added up end the step", () => {
    const group = new NcclGroup(meeting(1), simulated({ ncclAllReduce: 6 }).parts);
    scope(() => {
      expect(() => group.allReduce(zeros([3]))).toThrow(
        "ncclAllReduce: must succeed among the GPUs of all ranks, got NCCL error 6: error 6: Duplicate GPU detected; start again",
      );
    });
  });
});
