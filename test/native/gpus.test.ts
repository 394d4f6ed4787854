/** The driver's answers as a list of GPUs, from a driver that answers as NVIDIA's documentation says. */
import { describe, expect, it } from "vitest";
import { type DriverSymbols, gpuPrecision, isDriverTooOld, listGpus } from "../../src/native/gpus.ts";

const gpus = [
  { name: "NVIDIA H100 80GB HBM3", memoryBytes: 85_899_345_920, capability: [9, 0] },
  { name: "NVIDIA L4", memoryBytes: 24 * 2 ** 30, capability: [8, 9] },
];

/** Device handles are not the ordinals. */
const handleOf = (ordinal: number) => 70 + ordinal;

function driver(overrides: Partial<DriverSymbols> = {}): DriverSymbols {
  const of = (device: number) => gpus[device - 70];
  return {
    cuInit: () => 0,
    cuDriverGetVersion(version) {
      version[0] = 13_020;
      return 0;
    },
    cuDeviceGetCount(count) {
      count[0] = gpus.length;
      return 0;
    },
    cuDeviceGet(device, ordinal) {
      device[0] = handleOf(ordinal);
      return 0;
    },
    cuDeviceGetName(name, length, device) {
      name.set(Buffer.from(`${of(device).name}\0rubbish`).subarray(0, length));
      return 0;
    },
    cuDeviceTotalMem_v2(bytes, device) {
      bytes[0] = BigInt(of(device).memoryBytes);
      return 0;
    },
    cuDeviceGetAttribute(value, attribute, device) {
      // CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75, …_MINOR = 76
      value[0] = of(device).capability[attribute - 75];
      return 0;
    },
    ...overrides,
  };
}

describe("listGpus", () => {
  it("gives name, memory and compute capability of each", () => {
    expect(listGpus(() => driver())).toEqual({
      driver: "13.2",
      gpus: [
        { name: "NVIDIA H100 80GB HBM3", memoryBytes: 85_899_345_920, computeCapability: "9.0" },
        { name: "NVIDIA L4", memoryBytes: 25_769_803_776, computeCapability: "8.9" },
      ],
    });
  });

  it("says why there is none", () => {
    expect(listGpus(() => undefined)).toEqual({ gpus: [], why: "no NVIDIA driver (libcuda) is installed" });
    // CUDA_ERROR_NO_DEVICE
    expect(listGpus(() => driver({ cuInit: () => 100 }))).toEqual({
      gpus: [],
      driver: "13.2",
      why: "NVIDIA's driver finds no GPU",
    });
    // CUDA_ERROR_SYSTEM_DRIVER_MISMATCH
    expect(listGpus(() => driver({ cuInit: () => 803 }))).toEqual({
      gpus: [],
      why: "NVIDIA's driver does not start (cuInit gives 803)",
    });
    const hidden = driver({ cuDeviceGetCount: () => 0 });
    hidden.cuDeviceGetCount = (count) => {
      count[0] = 0;
      return 0;
    };
    expect(listGpus(() => hidden).why).toBe("NVIDIA's driver finds no GPU");
  });
});

describe("what a GPU and its driver can do", () => {
  it("bf16 is the default from Ampere on", () => {
    const precisionOf = (computeCapability: string) => gpuPrecision({ computeCapability });
    expect(["7.0", "7.5", "8.0", "8.9", "9.0", "12.0"].map(precisionOf)).toEqual([
      "fp32",
      "fp32",
      "bf16",
      "bf16",
      "bf16",
      "bf16",
    ]);
  });

  it("a driver serves its own major version of CUDA and those before", () => {
    const of = (torch: string, driver?: string) => isDriverTooOld(torch, { gpus: [], ...(driver && { driver }) });
    expect([of("2.15.0+cu132", "12.8"), of("2.15.0+cu132", "13.0"), of("2.11.0+cu126", "13.2")]).toEqual([
      true,
      false,
      false,
    ]);
    // Versions that do not tell, and drivers that did not answer, are given the chance.
    expect([of("2.15.0", "12.8"), of("2.15.0+cpu", "12.8"), of("2.15.0+cu132")]).toEqual([false, false, false]);
  });
});
