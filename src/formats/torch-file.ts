/**
 * Files of `torch.save`, read as data: nothing that they name is ever run. Since version 1.6 such a file is a zip archive of
 * one folder: `data.pkl`, a pickle whose persistent ids name storages; `data/<key>`, a storage's bytes; `byteorder`;
 * `version` and more that reading does not need. Before, it was a stream: torch-legacy.ts. Written by torch-writer.ts.
 * Source: `_save` and `_load` in torch/serialization.py.
 */

import { fault } from "../errors.ts";
import { readPickle } from "./pickle.ts";
import { PickleTuple, type PickleValue } from "./pickle-values.ts";
import type { TensorData } from "./safetensors.ts";
import { readStoredZip } from "./stored-zip.ts";
import { readTorchLegacy } from "./torch-legacy.ts";
import { ofOtherMachine, TorchStorages, TorchTensor, torchAllowList, unsafeNext } from "./torch-tensors.ts";

/** What a file holds. Lists and tuples are arrays, dicts are Maps, Python 2's str is bytes. */
export type TorchValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | TensorData
  | readonly TorchValue[]
  | ReadonlyMap<string | number, TorchValue>;

/**
 * Reads a file of `torch.save` with either container; `where` names it in errors. Tensors are views of `bytes`, or copies
 * where their elements are not aligned or do not lie row by row. A value that the file names twice is one object.
 * Throws "unsafe" for anything but plain data and tensors (so for a whole model), "input" for a file that is not whole
 * or contradicts itself, "resource" for one that would unpack to many times its size.
 */
export function readTorchFile(bytes: Uint8Array, where: string): TorchValue {
  const isZip = bytes[0] === 0x50 && bytes[1] === 0x4b; // "PK"
  return new Plain(where).value(isZip ? readTorchZip(bytes, where) : readTorchLegacy(bytes, where));
}

export function isTensor(value: TorchValue | undefined): value is TensorData {
  return typeof value === "object" && value !== null && "dtype" in value;
}

export function isDict(value: TorchValue | undefined): value is ReadonlyMap<string | number, TorchValue> {
  return value instanceof Map;
}

/** The object of a zip archive, its storages filled. */
function readTorchZip(bytes: Uint8Array, where: string): PickleValue {
  const entries = readStoredZip(bytes, where);
  const folders = [...entries.keys()].flatMap((name) => /^([^/]+\/)data\.pkl$/.exec(name)?.[1] ?? []);
  const [folder] = folders;
  if (folder === undefined || folders.length > 1) {
    throw fault("input", { where, rule: "a zip archive of torch.save must hold one data.pkl", got: folders.length });
  }
  if (entries.has(`${folder}constants.pkl`)) {
    throw fault("unsafe", { where, rule: "a file of torch.jit.save holds code, which is not read", next: unsafeNext });
  }
  const order = entries.get(`${folder}byteorder`);
  const machine = order && new TextDecoder().decode(order);
  if (machine !== undefined && machine !== "little") {
    throw fault("input", { where, ...ofOtherMachine, got: machine });
  }
  const storages = new TorchStorages();
  const object = readPickle(entries.get(`${folder}data.pkl`)!, `${where}: data.pkl`, {
    allow: torchAllowList,
    persistentLoad: (id, check) => storages.load(id, check),
    fileBytes: bytes.length,
    unsafeNext,
  });
  for (const [key, storage] of storages) {
    const content = entries.get(`${folder}data/${key}`);
    if (content === undefined) {
      throw fault("input", {
        where,
        rule: `is missing a storage, data/${key}`,
        next: "is the file whole?",
      });
    }
    storage.fill(content, `${where}: data/${key}`);
  }
  return object;
}

/** Turns a pickle's values into plain data, each object once however often it is named. */
class Plain {
  readonly #where: string;
  readonly #known = new Map<PickleValue, TorchValue>();

  constructor(where: string) {
    this.#where = where;
  }

  value(value: PickleValue): TorchValue {
    if (typeof value !== "object" || value === null || value instanceof Uint8Array) return value;
    const known = this.#known.get(value) ?? this.#object(value);
    this.#known.set(value, known);
    return known;
  }

  #object(value: PickleValue & object): TorchValue {
    if (value instanceof TorchTensor) return value.read();
    if (value instanceof PickleTuple) return value.items.map((item) => this.value(item));
    if (Array.isArray(value)) return value.map((item) => this.value(item));
    if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, this.value(item)] as const));
    throw fault("input", {
      where: this.#where,
      rule: "must hold only tensors and plain values, not storages or classes",
    });
  }
}
