/**
 * The GPUs that NVIDIA's driver offers, asked through its own library (libcuda), which comes with the driver and needs
 * neither libtorch nor the CUDA toolkit. For the doctor, and for a clear answer before libtorch is asked for a GPU.
 *
 * Source: NVIDIA's cuda.h, CUDA driver API.
 */
import { koffi } from "./koffi.ts";

export interface Gpu {
  readonly name: string;
  readonly memoryBytes: number;
  /** e.g. "9.0" */
  readonly computeCapability: string;
}

export interface GpuList {
  readonly gpus: readonly Gpu[];
  /** The newest CUDA version that the driver supports, e.g. "13.2". */
  readonly driver?: string;
  /** Why there is no GPU, as a half-sentence. */
  readonly why?: string;
}

/** The driver's functions; each returns a CUresult, 0 for success. */
export interface DriverSymbols {
  cuInit(flags: number): number;
  cuDriverGetVersion(version: Int32Array): number;
  cuDeviceGetCount(count: Int32Array): number;
  cuDeviceGet(device: Int32Array, ordinal: number): number;
  cuDeviceGetName(name: Uint8Array, length: number, device: number): number;
  cuDeviceTotalMem_v2(bytes: BigUint64Array, device: number): number;
  cuDeviceGetAttribute(value: Int32Array, attribute: number, device: number): number;
}

const prototypes: { [Name in keyof DriverSymbols]: string } = {
  cuInit: "int cuInit(unsigned int)",
  cuDriverGetVersion: "int cuDriverGetVersion(void *)",
  cuDeviceGetCount: "int cuDeviceGetCount(void *)",
  cuDeviceGet: "int cuDeviceGet(void *, int)",
  cuDeviceGetName: "int cuDeviceGetName(void *, int, int)",
  cuDeviceTotalMem_v2: "int cuDeviceTotalMem_v2(void *, int)",
  cuDeviceGetAttribute: "int cuDeviceGetAttribute(void *, int, int)",
};

/** CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR and …_MINOR */
const capabilityAttributes = [75, 76] as const;
const longestName = 256;

/** The GPUs, in the order in which `cuda:N` counts them (CUDA_VISIBLE_DEVICES applies). Never throws. */
export function listGpus(open: () => DriverSymbols | undefined = openDriver): GpuList {
  const driver = open();
  if (driver === undefined) return { gpus: [], why: "no NVIDIA driver (libcuda) is installed" };
  const initialized = driver.cuInit(0);
  // CUDA_ERROR_NO_DEVICE is 100.
  if (initialized !== 0 && initialized !== 100) {
    return { gpus: [], why: `NVIDIA's driver does not start (cuInit gives ${initialized})` };
  }
  const number = new Int32Array(1);
  driver.cuDriverGetVersion(number);
  const version = `${Math.floor(number[0] / 1000)}.${Math.floor((number[0] % 1000) / 10)}`;
  if (initialized !== 0 || driver.cuDeviceGetCount(number) !== 0 || number[0] === 0) {
    return { gpus: [], driver: version, why: "NVIDIA's driver finds no GPU" };
  }
  return { gpus: Array.from({ length: number[0] }, (_, ordinal) => describe(driver, ordinal)), driver: version };
}

/**
 * Whether the driver is older than the CUDA that a PyTorch was built for ("2.15.0+cu132" is for CUDA 13.2). A driver
 * supports all CUDA versions up to the last one of its own major version.
 */
export function isDriverTooOld(torchVersion: string, { driver }: GpuList): boolean {
  const major = /\+cu(\d+)\d$/.exec(torchVersion)?.[1];
  return major !== undefined && driver !== undefined && Number.parseInt(driver, 10) < Number(major);
}

/** The faster arithmetic of a GPU's convolutions: bfloat16 came with compute capability 8.0 (Ampere). */
export function gpuPrecision({ computeCapability }: Pick<Gpu, "computeCapability">): "bf16" | "fp32" {
  return Number.parseInt(computeCapability, 10) >= 8 ? "bf16" : "fp32";
}

function describe(driver: DriverSymbols, ordinal: number): Gpu {
  const number = new Int32Array(1);
  driver.cuDeviceGet(number, ordinal);
  const device = number[0];
  const name = new Uint8Array(longestName);
  driver.cuDeviceGetName(name, longestName, device);
  const bytes = new BigUint64Array(1);
  driver.cuDeviceTotalMem_v2(bytes, device);
  const capability = capabilityAttributes.map((attribute) => {
    driver.cuDeviceGetAttribute(number, attribute, device);
    return number[0];
  });
  return {
    name: Buffer.from(name).toString("utf8").split("\0", 1)[0],
    memoryBytes: Number(bytes[0]),
    computeCapability: capability.join("."),
  };
}

function openDriver(): DriverSymbols | undefined {
  try {
    const shared = koffi().load("libcuda.so.1");
    const bound = Object.entries(prototypes).map(([name, prototype]) => [name, shared.func(prototype)]);
    return Object.fromEntries(bound) as unknown as DriverSymbols;
  } catch {
    // Only a machine with NVIDIA's driver has it.
    return undefined;
  }
}
