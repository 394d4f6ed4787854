/**
 * The input tensors of a step, at addresses that never change, as a captured graph needs them. All lie in one block, so
 * that a step's inputs are transferred in one copy, whatever their number and types.
 *
 * On a GPU the block is filled from pinned memory by a stream of its own, while earlier steps are being computed: the
 * processor writes a batch into one of two pinned buffers; the upload stream copies it into the GPU's buffer of the same
 * number; the computing stream copies that into the block, between two steps. Events keep each from overtaking the
 * others; the processor waits only when it is two batches ahead.
 */
import { fault } from "../errors.ts";
import { check, owned } from "../native/call.ts";
import { library } from "../native/library.ts";
import { type CudaDevice, CudaEvent } from "./cuda.ts";
import { type Device, type DType, elementBytes } from "./device.ts";
import { slice, view, viewAs } from "./ops.ts";
import { keep, scope } from "./scope.ts";
import { addressOf, dtypeOf, elementCount, empty, type Shape, Tensor, type TensorSource } from "./tensor.ts";

export interface InputShape {
  readonly dtype: DType;
  readonly shape: Shape;
}

/** Parts of the block start at multiples of this many bytes, for the GPU's widest loads. */
const alignment = 256;

interface Part {
  readonly offset: number;
  readonly bytes: number;
}

/** Fills the block; on a GPU the data may still be on its way when the call returns, but later work sees it. */
interface Transfer {
  send(write: (address: bigint) => void): void;
  free(): void;
}

export class Inputs<Name extends string> {
  /** As the step reads them, each of its {@link InputShape}. */
  readonly tensors: Readonly<Record<Name, Tensor>>;
  readonly #shapes: Readonly<Record<Name, InputShape>>;
  readonly #parts: ReadonlyMap<Name, Part>;
  readonly #block: Tensor;
  readonly #transfer: Transfer;

  /** @param cuda the GPU's streams; absent for the CPU */
  constructor(shapes: Readonly<Record<Name, InputShape>>, device: Device, cuda: CudaDevice | undefined) {
    this.#shapes = shapes;
    const { parts, bytes } = layOut(shapes);
    this.#parts = parts;
    this.#block = keep(empty([bytes], "uint8", device));
    this.#transfer = cuda === undefined ? directly(this.#block) : new PinnedTransfer(this.#block, bytes, device, cuda);
    const tensors = [...parts].map(([name, part]) => [name, typedPart(this.#block, part, shapes[name])] as const);
    this.tensors = Object.fromEntries(tensors) as Record<Name, Tensor>;
  }

  /** Gives the tensors new values, of the types and lengths that they were made with. */
  put(values: Readonly<Record<Name, TensorSource>>): void {
    const { memory } = library();
    const sources = Object.entries(values) as [Name, TensorSource][];
    for (const [name, source] of sources) mustFit(name, source, this.#shapes[name]);
    this.#transfer.send((address) => {
      for (const [name, source] of sources) {
        memory.copyIn(address + BigInt(this.#parts.get(name)!.offset), source, source.byteLength);
      }
    });
  }

  free(): void {
    this.#transfer.free();
    for (const tensor of Object.values<Tensor>(this.tensors)) tensor.free();
    this.#block.free();
  }
}

function layOut<Name extends string>(shapes: Readonly<Record<Name, InputShape>>) {
  const parts = new Map<Name, Part>();
  let bytes = 0;
  for (const [name, { dtype, shape }] of Object.entries(shapes) as [Name, InputShape][]) {
    const own = elementCount(shape) * elementBytes[dtype];
    parts.set(name, { offset: bytes, bytes: own });
    bytes = Math.ceil((bytes + own) / alignment) * alignment;
  }
  return { parts, bytes };
}

function typedPart(block: Tensor, { offset, bytes }: Part, { dtype, shape }: InputShape): Tensor {
  return keep(scope(() => view(viewAs(slice(block, 0, offset, offset + bytes), dtype), shape)));
}

function mustFit(name: string, source: TensorSource, { dtype, shape }: InputShape): void {
  if (dtypeOf(source) === dtype && source.length === elementCount(shape)) return;
  const got = `${source.length} of ${dtypeOf(source)}`;
  throw fault("internal", { where: `input ${name}`, rule: `needs ${dtype} [${shape}]`, got });
}

/** On the CPU the block is written where it lies. */
function directly(block: Tensor): Transfer {
  return { send: (write) => write(addressOf(block)), free: () => undefined };
}

interface Buffer {
  readonly pinned: Tensor;
  readonly onDevice: Tensor;
  /** The pinned buffer has been read. */
  readonly uploaded: CudaEvent;
  /** The buffer on the device has been read. */
  readonly taken: CudaEvent;
}

class PinnedTransfer implements Transfer {
  readonly #cuda: CudaDevice;
  readonly #block: bigint;
  readonly #bytes: number;
  readonly #buffers: readonly Buffer[];
  #sent = 0;

  constructor(block: Tensor, bytes: number, device: Device, cuda: CudaDevice) {
    this.#cuda = cuda;
    this.#block = addressOf(block);
    this.#bytes = bytes;
    this.#buffers = Array.from({ length: 2 }, () => ({
      pinned: pinned(bytes, cuda),
      onDevice: keep(empty([bytes], "uint8", device)),
      uploaded: new CudaEvent(cuda.symbols),
      taken: new CudaEvent(cuda.symbols),
    }));
    // The memory's earlier owner may still use it on the computing stream, which the upload stream does not wait for.
    cuda.compute.synchronize();
  }

  send(write: (address: bigint) => void): void {
    const { compute, uploads } = this.#cuda;
    const { pinned, onDevice, uploaded, taken } = this.#buffers[this.#sent++ % this.#buffers.length];
    uploaded.synchronize();
    write(addressOf(pinned));
    uploads.waitFor(taken);
    uploads.copy(addressOf(onDevice), addressOf(pinned), this.#bytes, "host to device");
    uploads.record(uploaded);
    compute.waitFor(uploaded);
    compute.copy(this.#block, addressOf(onDevice), this.#bytes, "device to device");
    compute.record(taken);
  }

  free(): void {
    this.#cuda.uploads.settle();
    this.#cuda.compute.settle();
    for (const { pinned, onDevice, uploaded, taken } of this.#buffers) {
      for (const own of [pinned, onDevice, uploaded, taken]) own.free();
    }
  }
}

const out = new BigUint64Array(1);

/** Bytes of the processor's memory that the GPU can read directly. */
function pinned(bytes: number, { symbols: cuda }: CudaDevice): Tensor {
  const { symbols } = library();
  const [sizes, strides] = [BigInt64Array.of(BigInt(bytes)), BigInt64Array.of(1n)];
  const [uint8, cpu] = [symbols.aoti_torch_dtype_uint8(), symbols.aoti_torch_device_type_cpu()];
  const status = cuda.aoti_torch_empty_strided_pinned(1, sizes, strides, uint8, cpu, 0, out);
  check(status, "empty_strided_pinned", () => `${bytes} bytes`);
  return keep(new Tensor(owned(out[0])));
}
