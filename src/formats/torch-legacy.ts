/**
 * PyTorch's older stream, which torch.save wrote until version 1.5 and still writes when told to: one pickle after the
 * other (a magic number, the protocol's version, the writer's machine, the object, the storages' keys), then the storages,
 * each as its number of elements and its bytes. Not read: the tar archives of before 2017.
 * Source: `_legacy_save` and `_legacy_load` in torch/serialization.py.
 */

import { fault } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";
import { readNextPickle } from "./pickle.ts";
import { type PickleValue, shortText } from "./pickle-values.ts";
import { ofOtherMachine, TorchStorages, torchAllowList, unsafeNext } from "./torch-tensors.ts";

const magicNumber = 0x1950a86a20f9469cfc6cn;
const protocolVersion = 1001;
/** The PROTO opcode, with which a binary pickle begins. */
const pickleStart = 0x80;
const maxKeyLength = 1024;

/** The object of a file, its storages filled. Throws as `readTorchFile` does. */
export function readTorchLegacy(bytes: Uint8Array, where: string): PickleValue {
  if (bytes[0] !== pickleStart) throw noTorchFile(where);
  const reader = new ByteReader(bytes, where);
  const storages = new TorchStorages();
  const read = () =>
    readNextPickle(reader, {
      allow: torchAllowList,
      persistentLoad: (id, check) => storages.load(id, check),
      unsafeNext,
    });
  if (read() !== magicNumber) throw noTorchFile(where);
  const version = read();
  if (version !== protocolVersion) throw reader.malformed(`the protocol must be version ${protocolVersion}`, version);
  const machine = read();
  if (!(machine instanceof Map) || machine.get("little_endian") !== true) {
    throw fault("input", { where, ...ofOtherMachine, got: "a big-endian one" });
  }
  const object = read();
  fillStorages(reader, storages, read());
  if (reader.remaining > 0) {
    const rule = "the file must end with its storages; a second pickle after them is a way to hide one";
    throw fault("unsafe", { where: `${where}: byte ${reader.offset}`, rule, got: `${reader.remaining} more bytes` });
  }
  return object;
}

function fillStorages(reader: ByteReader, storages: TorchStorages, keys: PickleValue): void {
  const missing = new Set(storages.keys());
  for (const value of Array.isArray(keys) ? keys : []) {
    const key = shortText(value, maxKeyLength) ?? "";
    const storage = storages.get(key);
    if (storage === undefined || !missing.delete(key)) {
      throw reader.malformed("each storage must be one that the object names, and occur once", key);
    }
    const count = reader.length64();
    if (count !== storage.elements) {
      throw reader.malformed(`the storage ${key} must have ${storage.elements} elements`, count);
    }
    storage.fill(reader.take(count * storage.type.bytes), `${reader.where}: storage ${key}`);
  }
  if (missing.size > 0) throw reader.malformed(`is missing a storage, key ${[...missing][0]}`);
}

function noTorchFile(where: string) {
  const rule = "must be a file of torch.save: a zip archive, or the older stream of pickles";
  return fault("input", { where, rule, next: "give a .pth, .pt or .safetensors file with a state dict" });
}
