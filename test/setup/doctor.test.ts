import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { formatReport } from "../../src/cli/doctor-command.ts";
import { type FoundLibtorch, findLibtorch } from "../../src/native/find.ts";
import { requiredSymbols } from "../../src/native/symbols.ts";
import { adviceFor, examine, type Report } from "../../src/setup/examine.ts";
import { cpuFeatures, defaultPrecision, hasBf16 } from "../../src/utils/cpu.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { writeFake } from "./fake-libtorch.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

describe("the processor", () => {
  test("x86: the second processor's line does not matter, longer names do not match", () => {
    const cpuinfo =
      "processor\t: 0\nflags\t\t: fpu avx2 avx512f avx512_bf16x amx_tile\nprocessor\t: 1\nflags\t\t: amx_bf16\n";
    expect(cpuFeatures(cpuinfo)).toEqual(["avx2", "avx512f"]);
    expect(defaultPrecision(cpuinfo)).toBe("fp32");
  });

  test("bf16 is the default where it is the faster one: with AMX, and with AMD's AVX-512", () => {
    const processor = (vendor: string, flags: string) => `vendor_id\t: ${vendor}\nflags\t\t: ${flags}\n`;
    expect(defaultPrecision(processor("GenuineIntel", "avx512f avx512_bf16 amx_bf16"))).toBe("bf16");
    expect(defaultPrecision(processor("GenuineIntel", "avx512f avx512_bf16"))).toBe("fp32");
    expect(defaultPrecision(processor("AuthenticAMD", "avx512f avx512_bf16"))).toBe("bf16");
    expect(defaultPrecision(processor("AuthenticAMD", "avx2"))).toBe("fp32");
  });

  test("ARM, and systems that do not tell", () => {
    expect(cpuFeatures("processor\t: 0\nFeatures\t: fp asimd sve bf16 i8mm\n")).toEqual(["asimd", "sve", "bf16"]);
    // Any of the three computes in it, also where fp32 is the faster.
    for (const has of ["avx512_bf16", "amx_bf16", "bf16"] as const) expect(hasBf16(["asimd", has])).toBe(true);
    expect(hasBf16(["avx2", "avx512f"])).toBe(false);
    expect(cpuFeatures("")).toEqual([]);
    expect(defaultPrecision("")).toBe("fp32");
  });
});

describe("advice", () => {
  const usable = { gpus: [], why: "no NVIDIA driver (libcuda) is installed" };
  const gpu = { devices: ["/dev/nvidia0"], described: [], usable };
  const machine = { gpu: { devices: [], described: [], usable } };
  const found: FoundLibtorch = {
    root: "/r",
    libDir: "/r/lib",
    version: "2.15.0",
    cuda: false,
    source: "cache",
    tried: [],
  };
  const probe = {
    symbols: [
      { name: "a", present: true },
      { name: "b", present: false },
    ],
  };

  test("is empty when all is well", () => {
    expect(adviceFor({ machine, found, probe: { symbols: [{ name: "a", present: true }] } })).toEqual([]);
  });

  test("names the command that helps", () => {
    expect(adviceFor({ machine, found: undefined, probe: undefined })).toEqual([
      "Run `patchdrop setup` to fetch libtorch, or give a PyTorch with --torch PATH.",
    ]);
    expect(adviceFor({ machine, found, probe })).toEqual([
      "This libtorch lacks 1 needed functions: delete /r and run `patchdrop setup`.",
    ]);
    expect(
      adviceFor({ machine: { gpu }, found: { ...found, source: "python" }, probe: { loadError: "x", symbols: [] } }),
    ).toEqual([
      "This libtorch does not load: reinstall it, or run `patchdrop setup --from pip` and give the folder that it prints with --torch.",
      "A GPU is here, but this libtorch cannot use it: run `patchdrop setup --cuda` for --device cuda.",
    ]);
  });
});

describe("advice on a GPU", () => {
  const h100 = { name: "H100", memoryBytes: 80 * 2 ** 30, computeCapability: "9.0" };
  const found: FoundLibtorch = {
    root: "/r",
    libDir: "/r/lib",
    version: "2.15.0+cu132",
    cuda: true,
    source: "cache",
    tried: [],
  };
  const whole = { symbols: [{ name: "a", present: true }] };
  const machineWith = (driver: string) => ({ gpu: { devices: [], described: [], usable: { gpus: [h100], driver } } });

  test("is empty when its driver and libtorch's CUDA fit; within a major version they do", () => {
    for (const driver of ["13.0", "13.2", "14.1"]) {
      expect(adviceFor({ machine: machineWith(driver), found, probe: whole, cudaProbe: whole })).toEqual([]);
    }
  });

  test("says when the driver is older than libtorch's CUDA", () => {
    expect(adviceFor({ machine: machineWith("12.8"), found, probe: whole, cudaProbe: whole })).toEqual([
      "The driver supports CUDA 12.8, but libtorch 2.15.0+cu132 needs a newer one: update NVIDIA's driver.",
    ]);
  });

  test("says when libtorch_cuda does not load", () => {
    const cudaProbe = { loadError: "libtorch_cuda.so: undefined symbol", symbols: [] };
    expect(adviceFor({ machine: machineWith("13.2"), found, probe: whole, cudaProbe })).toEqual([
      "This libtorch cannot use the GPU that is here, though it has CUDA's libraries: delete /r and run `patchdrop setup`.",
    ]);
  });
});

describe("the report", () => {
  test("of a machine on which training works: every needed function is there", async () => {
    const report = await examine();
    expect(report.found).toEqual(findLibtorch());
    expect(report.probe?.symbols).toEqual(requiredSymbols.map((name) => ({ name, present: true })));
    expect(report.ready).toBe(true);
    expect(report.machine.threads).toBe(Number(process.env.OMP_NUM_THREADS));
    expect(report.machine.memory.availableBytes).toBeLessThanOrEqual(report.machine.memory.totalBytes);
    const lines = formatReport(report).split("\n");
    expect(lines).toContainEqual(
      expect.stringMatching(new RegExp(`^functions +${requiredSymbols.length} of ${requiredSymbols.length} present$`)),
    );
    expect(lines.at(-1)).toBe("Training on the CPU will work.");
  });

  test("names each GPU with the flag that takes it, and what CUDA's libraries lack", async () => {
    const report = await examine();
    const gpus = [
      { name: "NVIDIA H100", memoryBytes: 80 * 2 ** 30, computeCapability: "9.0" },
      { name: "NVIDIA L4", memoryBytes: 24 * 2 ** 30, computeCapability: "8.9" },
    ];
    const gpu = { devices: [], described: [], usable: { gpus, driver: "13.2" } };
    const cudaProbe = {
      symbols: [
        { name: "cudaGraphLaunch", present: true },
        { name: "cudaStreamWaitEvent", present: false },
      ],
    };
    const text = formatReport({ ...report, machine: { ...report.machine, gpu }, cudaProbe, cudaReady: true });
    expect(text).toMatch(/^GPU +NVIDIA H100, 80\.0 GiB, compute 9\.0, driver for CUDA 13\.2: --device cuda:0$/m);
    expect(text).toMatch(/^GPU +NVIDIA L4, 24\.0 GiB, compute 8\.9, driver for CUDA 13\.2: --device cuda:1$/m);
    expect(text).toMatch(/^CUDA functions +1 of 2 present\nCUDA missing +cudaStreamWaitEvent$/m);
    expect(text).toMatch(/\nTraining will work, on the CPU and with --device cuda\.$/);
  });

  test("says why a GPU that can be seen cannot be used, or that there is none", async () => {
    const report = await examine();
    const usable = { gpus: [], why: "NVIDIA's driver does not start (cuInit gives 999)" };
    const of = (devices: string[]) =>
      formatReport({ ...report, machine: { ...report.machine, gpu: { devices, described: [], usable } } });
    expect(of(["/dev/nvidia0"])).toMatch(/^GPU +\/dev\/nvidia0 \(not usable: NVIDIA's driver does not start/m);
    expect(of([])).toMatch(/^GPU +none: NVIDIA's driver does not start \(cuInit gives 999\)$/m);
  });

  test("says whether many ranks can be started here", async () => {
    const report = await examine();
    const of = (openMpi: string | undefined) => formatReport({ ...report, machine: { ...report.machine, openMpi } });
    expect(of("4.1.4")).toMatch(/^many ranks +by mpirun, Open MPI 4\.1\.4$/m);
    expect(of(undefined)).toMatch(/^many ranks +not here: no Open MPI$/m);
    const withCuda = (nccl: string | undefined) => formatReport({ ...report, cudaProbe: { symbols: [] }, nccl });
    expect(formatReport({ ...report, found: { ...report.found!, cuda: false } })).toMatch(
      /^many GPUs +not here: NCCL comes with CUDA, which this libtorch does not have$/m,
    );
    expect(withCuda("2.30.7")).toMatch(/^many GPUs +by NCCL 2\.30\.7, which comes with it$/m);
    expect(withCuda(undefined)).toMatch(
      /^many GPUs +not here: this libtorch_cuda has no NCCL; use that of `patchdrop setup --cuda`, without --torch$/m,
    );
  });

  test("of a libtorch that does not load gives the loader's words", async () => {
    const torch = writeFake(path.join(folder, "torch"));
    const report = await examine({ torch });
    expect(report.ready).toBe(false);
    expect(report.probe).toEqual({ loadError: expect.stringMatching(/^libc10\.\w+: ./), symbols: [] });
    expect(formatReport(report)).toMatch(/^loading +libc10/m);
    expect(formatReport(report).split("\n").at(-1)).toBe("Training will not work yet.");
  });

  test("of a machine without one names each place", async () => {
    const report: Report = await examine({ env: { PATH: "/nonexistent", PATCHDROP_CACHE: folder } });
    expect([report.ready, report.found, report.probe]).toEqual([false, undefined, undefined]);
    expect(formatReport(report)).toContain("python: python3 is not installed");
    expect(formatReport(report)).toContain(`cache: ${folder}/libtorch holds nothing for this platform`);
  });
});
