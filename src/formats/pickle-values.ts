/**
 * The values that a pickle is read into, and the allow-list of the names that it may use. A name is never resolved to
 * code: it is a key into a map of our own checked constructors, and a name that is not there refuses the file.
 */

import type { PatchDropError } from "../errors.ts";

/** A Python list is an array; a tuple is its own class, since arguments must be told from data. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  /** bytes, bytearray, and Python 2's str, which could hold either text or bytes. Often a view of the file's bytes. */
  | Uint8Array
  | PickleValue[]
  | PickleTuple
  | PickleDict
  | PickleGlobal
  | PickleObject;

/** A dict. Keys of bytes (and of Python 2's str) are read as latin-1 text. A Map: `__proto__` is a key like any other. */
export type PickleDict = Map<string | number, PickleValue>;

export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** A name on the allow-list, as the pickle pushes it before it calls it or passes it on. */
export class PickleGlobal {
  /** "module.name" as the file wrote it. */
  readonly name: string;
  readonly construct: Construct | undefined;

  constructor(name: string, construct: Construct | undefined) {
    this.name = name;
    this.construct = construct;
  }
}

/** What a constructor may make besides Python's own types: an array, a dtype, a tensor, a storage. */
export interface PickleObject {
  /** Takes the state that Python's `__setstate__` would get. Absent: the object takes none. */
  setState?(state: PickleValue, check: PickleCheck): void;
}

/** How a constructor says what is wrong with its arguments: the error names the file and the byte. */
export interface PickleCheck {
  /** The error (kind "input") to throw. */
  malformed(rule: string, got?: unknown): PatchDropError;
  /** Counts bytes about to be copied or converted: a small file must not unpack to much by using one value many times. */
  charge(bytes: number): void;
}

/** Makes the value of `name(*args)`, checking the number, types and sizes of the arguments. */
export type Construct = (args: readonly PickleValue[], check: PickleCheck) => PickleValue;

/** From "module.name" to its constructor, or to `undefined` for a name that may only be passed as an argument. */
export type PickleAllowList = ReadonlyMap<string, Construct | undefined>;

/** Text of at most `longest` characters, from str or from latin-1 bytes; undefined for anything else. */
export function shortText(value: PickleValue | undefined, longest: number): string | undefined {
  if (typeof value === "string") return value.length <= longest ? value : undefined;
  return value instanceof Uint8Array && value.length <= longest ? latin1(value) : undefined;
}

export function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}
