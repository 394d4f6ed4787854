/** What is asked of the CUDA runtime, in which order, and what its refusals look like; on a simulated one. */
import { beforeAll, describe, expect, it } from "vitest";
import { exitCodes } from "../../src/errors.ts";
import { findLibtorch } from "../../src/native/find.ts";
import { openLibtorch } from "../../src/native/library.ts";
import { openCuda } from "../../src/tensor/cuda.ts";
import { refusal } from "../refusal.ts";
import { prompt, SimulatedCuda } from "./simulated-cuda.ts";

beforeAll(() => {
  openLibtorch(findLibtorch(), { threads: 1 });
});

describe("a capture", () => {
  it("begins, ends and instantiates; a launch is one call; freeing waits for what still runs", () => {
    const cuda = new SimulatedCuda(prompt);
    const graph = cuda.device.compute.capture(() => cuda.calls.push("body"));
    expect(cuda.calls).toEqual([
      "cudaStreamBeginCapture",
      "body",
      "cudaStreamEndCapture",
      "cudaGraphInstantiateWithFlags",
      "cudaGraphDestroy",
    ]);
    cuda.calls.length = 0;
    graph.launch();
    graph.launch();
    graph.free();
    expect(cuda.calls).toEqual(["cudaGraphLaunch", "cudaGraphLaunch", "cudaStreamSynchronize", "cudaGraphExecDestroy"]);
  });

  it("begins in PyTorch's own mode, global (0), or where NCCL's threads call CUDA in that of its thread (1)", () => {
    const { device } = new SimulatedCuda(prompt);
    const modes: number[] = [];
    device.symbols.cudaStreamBeginCapture = (_, mode) => modes.push(mode) * 0;
    device.compute.capture(() => undefined).free();
    device.compute.capture(() => undefined, "this thread").free();
    expect(modes).toEqual([0, 1]);
  });

  it("that cannot be made leaves the stream as it was and says what to use instead", () => {
    const cuda = new SimulatedCuda(prompt);
    const error = refusal(() =>
      cuda.device.compute.capture(() => {
        throw new Error("operation not permitted when stream is capturing");
      }),
    );
    expect(error.message).toBe(
      "CUDA graph: the step must be captured, got operation not permitted when stream is capturing; use --no_cuda_graph",
    );
    expect(error.exitCode).toBe(exitCodes.system);
    expect(cuda.calls).toEqual(["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphDestroy"]);
  });

  it.each(["cudaStreamBeginCapture", "cudaStreamEndCapture", "cudaGraphInstantiateWithFlags"])(
    "refused by %s says so",
    (name) => {
      const cuda = new SimulatedCuda({ ...prompt, failing: { [name]: 901 } });
      const { message } = refusal(() => cuda.device.compute.capture(() => undefined));
      expect(message).toMatch(
        /^CUDA graph: the step must be captured \(\w+: .*got CUDA error 901: error 901\); use --no_cuda_graph$/,
      );
    },
  );

  it("for which memory runs out says what makes it smaller, not that graphs are at fault", () => {
    const cuda = new SimulatedCuda({ ...prompt, failing: { cudaGraphInstantiateWithFlags: 2 } });
    const error = refusal(() => cuda.device.compute.capture(() => undefined));
    expect(error.message).toBe(
      "cudaGraphInstantiate: must fit into the GPU's memory, got CUDA error 2: out of memory; " +
        "lower --batch_size, use --precision bf16, or stop other processes on the GPU",
    );
    expect([error.kind, error.exitCode]).toEqual(["resource", 6]);
  });
});

describe("a GPU that is not there", () => {
  it("is a fault in the input, before libtorch is asked for it", () => {
    // No machine has a GPU of this number.
    const error = refusal(() => openCuda("cuda:4096"));
    expect(error.message).toMatch(
      /^--device cuda:4096: needs that GPU, got .+; see `patchdrop doctor`, or use --device cpu$/,
    );
    expect(error.exitCode).toBe(exitCodes.input);
  });
});
