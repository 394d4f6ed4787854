import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { formatReport } from "../../src/cli/doctor.ts";
import { type FoundLibtorch, findLibtorch } from "../../src/native/find.ts";
import { requiredSymbols } from "../../src/native/library.ts";
import { adviceFor, examine, type Report } from "../../src/setup/examine.ts";
import { cpuFeatures, defaultPrecision } from "../../src/utils/cpu.ts";
import { temporaryFolder, writeFake } from "./fake-libtorch.ts";

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
    expect(cpuFeatures("")).toEqual([]);
    expect(defaultPrecision("")).toBe("fp32");
  });
});

describe("advice", () => {
  const gpu = { devices: ["/dev/nvidia0"], described: [] };
  const machine = { gpu: { devices: [], described: [] } };
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
      "Run `patchdrop setup` to fetch libtorch, or name a PyTorch with --torch PATH.",
    ]);
    expect(adviceFor({ machine, found, probe })).toEqual([
      "This libtorch lacks 1 needed functions: delete /r and run `patchdrop setup`.",
    ]);
    expect(
      adviceFor({ machine: { gpu }, found: { ...found, source: "python" }, probe: { loadError: "x", symbols: [] } }),
    ).toEqual([
      "This libtorch does not load: reinstall it, or run `patchdrop setup --from pip` and name with --torch the folder that it prints.",
      "A GPU is here, but this libtorch cannot use it: run `patchdrop setup --cuda` for --device cuda.",
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
