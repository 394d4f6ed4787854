/**
 * Writes what `torch.load(path, weights_only=True)` reads: dicts of tensors and numbers, in the zip container that
 * torch-file.ts describes, with a pickle of protocol 2. Each tensor has a storage of its own.
 * Source: `_save` in torch/serialization.py for the entries; torch/_weights_only_unpickler.py for the opcodes that it takes.
 */

import { createHash } from "node:crypto";
import { fault } from "../errors.ts";
import type { TensorData } from "./safetensors.ts";
import { writeStoredZip } from "./stored-zip.ts";
import { storageTypes } from "./torch-tensors.ts";

/** What can be written; a whole number becomes an int, any other a float. */
export type TorchTree = number | TensorData | ReadonlyMap<string, TorchTree>;

/** The folder in the archive; PyTorch's name for it too, if there is no file name. */
const folder = "archive";

/** The bytes of a file. Throws "input" for a tensor of a type that older versions of PyTorch have no storage for. */
export function writeTorchFile(tree: TorchTree): Uint8Array {
  const pickle = new PickleWriter();
  pickle.value(tree);
  const text = new TextEncoder();
  const entries = new Map<string, Uint8Array>([["data.pkl", pickle.end()]]);
  entries.set("byteorder", text.encode("little"));
  pickle.storages.forEach((bytes, key) => {
    entries.set(`data/${key}`, bytes);
  });
  entries.set("version", text.encode("3\n"));
  entries.set(".data/serialization_id", text.encode(serializationId(entries)));
  return writeStoredZip(new Map([...entries].map(([name, bytes]) => [`${folder}/${name}`, bytes])));
}

/** 40 decimal digits that depend on the content, as PyTorch's do: equal content, equal file. */
function serializationId(entries: ReadonlyMap<string, Uint8Array>): string {
  const hash = createHash("sha256");
  for (const [name, bytes] of entries) hash.update(name).update(bytes);
  return BigInt(`0x${hash.digest("hex")}`)
    .toString()
    .slice(0, 40)
    .padStart(40, "0");
}

const storageNames = new Map([...storageTypes].map(([name, { dtype }]) => [dtype, name]));
const maxInt32 = 0x7fffffff;

/** Opcodes one after the other; their names in capitals are pickletools'. */
class PickleWriter {
  /** The storages' bytes; a storage's key is its index. */
  readonly storages: Uint8Array[] = [];
  readonly #parts: Uint8Array[] = [Uint8Array.of(0x80, 2)]; // PROTO

  value(tree: TorchTree): void {
    if (typeof tree === "number") this.#number(tree);
    else if ("dtype" in tree) this.#tensor(tree);
    else this.#dict(tree);
  }

  end(): Uint8Array {
    this.#op(".");
    return new Uint8Array(Buffer.concat(this.#parts));
  }

  /** OrderedDict(), then its items. */
  #dict(items: ReadonlyMap<string, TorchTree>): void {
    this.#emptyDict();
    this.#op("("); // MARK
    for (const [key, item] of items) {
      this.#text(key);
      this.value(item);
    }
    this.#op("u"); // SETITEMS
  }

  #emptyDict(): void {
    this.#op("ccollections\nOrderedDict\n)R"); // GLOBAL, EMPTY_TUPLE, REDUCE
  }

  /** _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks) */
  #tensor({ dtype, shape, data }: TensorData): void {
    const name = storageNames.get(dtype);
    if (name === undefined) {
      const rule = `a PyTorch file can hold ${[...storageNames.keys()].join(", ")}`;
      throw fault("input", { where: "torch file", rule, got: dtype, next: "write .safetensors instead" });
    }
    const key = this.storages.push(data) - 1;
    this.#op("ctorch._utils\n_rebuild_tensor_v2\n((");
    this.#text("storage");
    this.#op(`ctorch\n${name}\n`);
    this.#text(String(key));
    this.#text("cpu");
    this.#number(shape.reduce((product, size) => product * size, 1));
    this.#op("tQ"); // TUPLE, BINPERSID
    this.#number(0);
    this.#tuple(shape);
    this.#tuple(shape.map((_, axis) => shape.slice(axis + 1).reduce((product, size) => product * size, 1)));
    this.#op("\x89"); // NEWFALSE
    this.#emptyDict();
    this.#op("tR");
  }

  #tuple(numbers: readonly number[]): void {
    this.#op("(");
    for (const number of numbers) this.#number(number);
    this.#op("t");
  }

  /** BININT for what fits 32 bits, LONG1 of 8 bytes for other whole numbers, BINFLOAT for the rest. */
  #number(value: number): void {
    const bytes = new Uint8Array(8);
    const view = new DataView(bytes.buffer);
    if (!Number.isSafeInteger(value)) {
      view.setFloat64(0, value, false);
      this.#op("G", bytes);
    } else if (Math.abs(value) > maxInt32) {
      view.setBigInt64(0, BigInt(value), true);
      this.#op("\x8a\x08", bytes);
    } else {
      view.setInt32(0, value, true);
      this.#op("J", bytes.subarray(0, 4));
    }
  }

  /** BINUNICODE */
  #text(text: string): void {
    const bytes = new TextEncoder().encode(text);
    const length = new Uint8Array(4);
    new DataView(length.buffer).setUint32(0, bytes.length, true);
    this.#op("X", length, bytes);
  }

  /** Opcodes as latin-1 text, and what follows them. */
  #op(opcodes: string, ...operands: readonly Uint8Array[]): void {
    this.#parts.push(Buffer.from(opcodes, "latin1"), ...operands);
  }
}
