/**
 * Python's pickle, protocols 0 to 5, read as data. A pickle is a program for a stack machine whose GLOBAL and REDUCE
 * can call any function; here they can only name an entry of an allow-list, whose constructors are ours.
 * Refused: the file's own classes, sets, extension codes, buffers outside the file.
 * Source: the opcodes' descriptions in CPython's Lib/pickletools.py; Lib/pickle.py for what writers emit.
 */

import { fault, type PatchDropError } from "../errors.ts";
import { ByteReader } from "./byte-reader.ts";
import {
  decimalFloat,
  decimalInteger,
  littleEndianInteger,
  pythonString,
  rawUnicode,
  utf8,
} from "./pickle-literals.ts";
import { type MachineOptions, PickleMachine } from "./pickle-machine.ts";
import { numpyAllowList } from "./pickle-numpy.ts";
import type { PickleValue } from "./pickle-values.ts";

/**
 * Reads one pickle that fills `bytes`; `where` names the file in errors. Byte values may be views of `bytes`.
 * Throws "unsafe" for a name off the allow-list, an opcode that would run code, or bytes after the pickle; "input" for
 * one that is malformed; "resource" for one that is too large or too deep.
 */
export function readPickle(bytes: Uint8Array, where: string, options: Partial<MachineOptions> = {}): PickleValue {
  const reader = new ByteReader(bytes, where);
  const value = readNextPickle(reader, options);
  if (reader.remaining > 0) {
    const rule = "the file must end with its pickle; a second pickle after the first is a way to hide one";
    throw fault("unsafe", { where: `${where}: byte ${reader.offset}`, rule, got: `${reader.remaining} more bytes` });
  }
  return value;
}

/** Reads one pickle of several in a file, and leaves the reader after it. Throws as {@link readPickle} does. */
export function readNextPickle(
  reader: ByteReader,
  { allow = numpyAllowList, unsafeNext = officialSource, ...more }: Partial<MachineOptions>,
): PickleValue {
  const machine = new PickleMachine(reader, { allow, unsafeNext, ...more });
  for (;;) {
    const { offset } = reader;
    const code = reader.uint8();
    if (code === stop) return machine.result();
    const operation = operations.get(code);
    if (operation === undefined) throw refused(code, `${reader.where}: byte ${offset}`, unsafeNext);
    machine.step();
    operation(machine, reader);
  }
}

const officialSource = "use files from their official source, and do not open this one with Python";

function refused(code: number, where: string, unsafeNext: string): PatchDropError {
  const name = refusedOpcodes.get(code);
  if (name !== undefined) return fault("unsafe", { where, rule: `the opcode ${name} is not read`, next: unsafeNext });
  const got = `0x${code.toString(16).padStart(2, "0")}`;
  return fault("input", { where, rule: "must be an opcode of a pickle", got, next: "is it a pickle?" });
}

const stop = ".".charCodeAt(0);

type Operation = (machine: PickleMachine, reader: ByteReader) => void;

/** Opcodes by their byte; the letters are pickletools'. Numbers are little-endian unless said otherwise. */
const operations: ReadonlyMap<number, Operation> = new Map<number, Operation>(
  (
    [
      // The frame of the program: PROTO, FRAME
      [0x80, (_, r) => protocol(r)],
      [0x95, (_, r) => r.length64()],
      // None, booleans: NONE, NEWTRUE, NEWFALSE
      ["N", (m) => m.push(null)],
      [0x88, (m) => m.push(true)],
      [0x89, (m) => m.push(false)],
      // Numbers: BININT, BININT1, BININT2, LONG1, LONG4, INT, LONG, BINFLOAT (big-endian), FLOAT
      ["J", (m, r) => m.push(r.int32())],
      ["K", (m, r) => m.push(r.uint8())],
      ["M", (m, r) => m.push(r.uint16())],
      [0x8a, (m, r) => m.push(littleEndianInteger(r.take(r.uint8())))],
      [0x8b, (m, r) => m.push(littleEndianInteger(r.take(longLength(r))))],
      ["I", (m, r) => m.push(intOrBool(r))],
      ["L", (m, r) => m.push(decimalInteger(r.line(), r))],
      ["G", (m, r) => m.push(r.float64BigEndian())],
      ["F", (m, r) => m.push(decimalFloat(r.line(), r))],
      // Python 2's str: BINSTRING, SHORT_BINSTRING, STRING
      ["T", (m, r) => m.push(r.take(r.uint32()))],
      ["U", (m, r) => m.push(r.take(r.uint8()))],
      ["S", (m, r) => m.push(pythonString(r.line(), r))],
      // bytes, bytearray: BINBYTES, SHORT_BINBYTES, BINBYTES8, BYTEARRAY8
      ["B", (m, r) => m.push(r.take(r.uint32()))],
      ["C", (m, r) => m.push(r.take(r.uint8()))],
      [0x8e, (m, r) => m.push(r.take(r.length64()))],
      [0x96, (m, r) => m.push(r.take(r.length64()))],
      // str: BINUNICODE, SHORT_BINUNICODE, BINUNICODE8, UNICODE
      ["X", (m, r) => m.push(utf8(r.take(r.uint32()), r))],
      [0x8c, (m, r) => m.push(utf8(r.take(r.uint8()), r))],
      [0x8d, (m, r) => m.push(utf8(r.take(r.length64()), r))],
      ["V", (m, r) => m.push(rawUnicode(r.line(), r))],
      // Tuples: EMPTY_TUPLE, TUPLE1, TUPLE2, TUPLE3, TUPLE
      [")", (m) => m.tuple([])],
      [0x85, (m) => m.tuple(m.popMany(1))],
      [0x86, (m) => m.tuple(m.popMany(2))],
      [0x87, (m) => m.tuple(m.popMany(3))],
      ["t", (m) => m.tuple(m.popMark())],
      // Lists: EMPTY_LIST, LIST, APPEND, APPENDS
      ["]", (m) => m.push([])],
      ["l", (m) => m.list(m.popMark())],
      ["a", (m) => m.append(m.popMany(1))],
      ["e", (m) => m.append(m.popMark())],
      // Dicts: EMPTY_DICT, DICT, SETITEM, SETITEMS
      ["}", (m) => m.push(new Map())],
      ["d", (m) => m.dict(m.popMark())],
      ["s", (m) => m.setItems(m.popMany(2))],
      ["u", (m) => m.setItems(m.popMark())],
      // The stack: MARK, POP, POP_MARK, DUP
      ["(", (m) => m.mark()],
      ["0", (m) => m.pop()],
      ["1", (m) => m.popMark()],
      ["2", (m) => m.push(m.top())],
      // The memo: PUT, BINPUT, LONG_BINPUT, MEMOIZE, GET, BINGET, LONG_BINGET
      ["p", (m, r) => m.put(slot(r))],
      ["q", (m, r) => m.put(r.uint8())],
      ["r", (m, r) => m.put(r.uint32())],
      [0x94, (m) => m.memoize()],
      ["g", (m, r) => m.get(slot(r))],
      ["h", (m, r) => m.get(r.uint8())],
      ["j", (m, r) => m.get(r.uint32())],
      // Names and calls: GLOBAL, STACK_GLOBAL, REDUCE, BUILD, PERSID, BINPERSID
      ["c", (m, r) => m.global(r.line(), r.line())],
      [0x93, (m) => m.global(...(m.popMany(2) as [PickleValue, PickleValue]))],
      ["R", (m) => m.reduce()],
      ["b", (m) => m.build()],
      ["P", (m, r) => m.persistentId(r.line())],
      ["Q", (m) => m.persistentId(m.pop())],
    ] satisfies [string | number, Operation][]
  ).map(([code, operation]) => [typeof code === "string" ? code.charCodeAt(0) : code, operation]),
);

/** Opcodes that build the file's own classes, or that none of our files needs. */
const refusedOpcodes: ReadonlyMap<number, string> = new Map([
  ["i".charCodeAt(0), "INST"],
  ["o".charCodeAt(0), "OBJ"],
  [0x81, "NEWOBJ"],
  [0x82, "EXT1"],
  [0x83, "EXT2"],
  [0x84, "EXT4"],
  [0x8f, "EMPTY_SET"],
  [0x90, "ADDITEMS"],
  [0x91, "FROZENSET"],
  [0x92, "NEWOBJ_EX"],
  [0x97, "NEXT_BUFFER"],
  [0x98, "READONLY_BUFFER"],
]);

function protocol(reader: ByteReader): void {
  const version = reader.uint8();
  if (version > 5) throw reader.malformed("the pickle protocol must be 0 to 5", version);
}

function slot(reader: ByteReader): number {
  const index = decimalInteger(reader.line(), reader);
  if (typeof index !== "number" || index < 0) throw reader.malformed("a memo's slot must be a number ≥ 0", index);
  return index;
}

/** LONG4's length: a signed number; no integer in these files comes near the limit. */
function longLength(reader: ByteReader): number {
  const length = reader.int32();
  if (length < 0 || length > 1024) throw reader.malformed("an integer may have at most 1024 bytes", length);
  return length;
}

/** INT: a decimal number, or "00" and "01" for False and True. */
function intOrBool(reader: ByteReader): PickleValue {
  const line = reader.line();
  if (line.length === 2 && line[0] === 0x30) return line[1] === 0x31;
  return decimalInteger(line, reader);
}
