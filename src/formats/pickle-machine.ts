/**
 * The stack machine that a pickle is a program for: its stack, memo and limits, and the operations that the opcodes in
 * pickle.ts are written in.
 */

import { fault, type PatchDropError } from "../errors.ts";
import type { ByteReader } from "./byte-reader.ts";
import {
  latin1,
  type PickleAllowList,
  type PickleCheck,
  type PickleDict,
  PickleGlobal,
  type PickleObject,
  PickleTuple,
  type PickleValue,
  shortText,
} from "./pickle-values.ts";

/** CIFAR-100's training file has about 300,000. Every entry and memo slot takes an opcode, so this bounds those too. */
const maxOpcodes = 2_000_000;
/** Levels of lists in dicts in tuples; CIFAR needs 3, a state dict 5. */
const maxNesting = 64;
/** Characters of a module's or function's name. */
const maxNameLength = 256;

/** Gives the value of a persistent id, which points to something outside the pickle. */
export type PersistentLoad = (id: PickleValue, check: PickleCheck) => PickleValue;

export interface MachineOptions {
  /** The names that the file may use. */
  readonly allow: PickleAllowList;
  /** Absent: a persistent id is refused. */
  readonly persistentLoad?: PersistentLoad | undefined;
  /** Bytes of the whole file, where the pickle is a part of it: they bound what it may unpack to. */
  readonly fileBytes?: number;
  /** What to do about a file that is refused as unsafe. */
  readonly unsafeNext: string;
}

type Container = PickleValue[] | PickleDict | PickleTuple | PickleObject;

export class PickleMachine implements PickleCheck {
  readonly reader: ByteReader;
  readonly #options: MachineOptions;
  /** The values since the last mark, and those below each open mark. */
  #stack: PickleValue[] = [];
  readonly #below: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();
  /** How deep a container's content nests, and which containers are already inside another one. */
  readonly #depth = new WeakMap<object, number>();
  readonly #placed = new WeakSet<object>();
  #opcodes = 0;
  #charged = 0;
  readonly #maxCharged: number;

  constructor(reader: ByteReader, options: MachineOptions) {
    this.reader = reader;
    this.#options = options;
    // Each byte of an ordinary file is converted once or twice.
    this.#maxCharged = 4 * (options.fileBytes ?? reader.remaining) + 1_000_000;
  }

  /** Counts an opcode. */
  step(): void {
    this.#opcodes++;
    if (this.#opcodes > maxOpcodes) throw this.#tooLarge(`a pickle may have at most ${maxOpcodes} opcodes`);
  }

  /** The one value that a pickle leaves. */
  result(): PickleValue {
    if (this.#below.length !== 0 || this.#stack.length !== 1) {
      throw this.malformed("a pickle must leave one value", `${this.#stack.length}, ${this.#below.length} open marks`);
    }
    return this.pop();
  }

  push(value: PickleValue): void {
    this.#stack.push(value);
  }

  pop(): PickleValue {
    const value = this.#stack.pop();
    if (value === undefined) throw this.malformed("an opcode needs a value on the stack");
    return value;
  }

  top(): PickleValue {
    const value = this.#stack.at(-1);
    if (value === undefined) throw this.malformed("an opcode needs a value on the stack");
    return value;
  }

  mark(): void {
    if (this.#below.length >= maxNesting) throw this.#tooLarge(`a pickle may open at most ${maxNesting} marks`);
    this.#below.push(this.#stack);
    this.#stack = [];
  }

  /** The values since the last mark, which is closed. */
  popMark(): PickleValue[] {
    const values = this.#stack;
    const below = this.#below.pop();
    if (below === undefined) throw this.malformed("an opcode needs an open mark");
    this.#stack = below;
    return values;
  }

  /** The last `count` values, oldest first. */
  popMany(count: number): PickleValue[] {
    return Array.from({ length: count }, () => this.pop()).reverse();
  }

  tuple(items: readonly PickleValue[]): void {
    const tuple = new PickleTuple(items);
    this.#place(tuple, items);
    this.push(tuple);
  }

  list(items: readonly PickleValue[]): void {
    this.push([]);
    this.append(items);
  }

  dict(items: readonly PickleValue[]): void {
    this.push(new Map());
    this.setItems(items);
  }

  append(items: readonly PickleValue[]): void {
    const list = this.top();
    if (!Array.isArray(list)) throw this.malformed("only a list can be appended to");
    this.#place(list, items);
    for (const item of items) list.push(item);
  }

  setItems(items: readonly PickleValue[]): void {
    const dict = this.top();
    if (!(dict instanceof Map)) throw this.malformed("only a dict can be given items");
    if (items.length % 2 !== 0) throw this.malformed("a dict's items must be pairs", `${items.length} values`);
    this.#place(dict, items);
    for (let i = 0; i < items.length; i += 2) {
      const key = this.#key(items[i]);
      if (dict.has(key)) throw this.malformed("each key may appear once", `${key} twice`);
      dict.set(key, items[i + 1] ?? null);
    }
  }

  #key(value: PickleValue | undefined): string | number {
    if (typeof value === "string" || typeof value === "number") return value;
    if (!(value instanceof Uint8Array)) throw this.malformed("a dict's key must be str, bytes or a number");
    this.charge(value.length);
    return latin1(value);
  }

  /**
   * Notes that `items` are now in `container`. A container that is inside another one is complete: without later changes
   * there are no cycles, and the nesting is known.
   */
  #place(container: Container, items: readonly PickleValue[]): void {
    let depth = this.#depth.get(container) ?? 1;
    for (const item of items) {
      if (typeof item !== "object" || item === null || item instanceof Uint8Array) continue;
      this.#placed.add(item);
      depth = Math.max(depth, 1 + (this.#depth.get(item) ?? 1));
    }
    if (depth > maxNesting) throw this.#tooLarge(`a pickle's values may nest at most ${maxNesting} levels`);
    if (this.#placed.has(container))
      throw this.malformed("a container must not change once it is inside another (is there a cycle?)");
    this.#depth.set(container, depth);
  }

  put(slot: number): void {
    this.#memo.set(slot, this.top());
  }

  memoize(): void {
    this.put(this.#memo.size);
  }

  get(slot: number): void {
    const value = this.#memo.get(slot);
    if (value === undefined) throw this.malformed("a memo's slot must be filled before it is read", slot);
    this.push(value);
  }

  global(module: PickleValue, name: PickleValue): void {
    const parts = [shortText(module, maxNameLength), shortText(name, maxNameLength)];
    if (parts.includes(undefined)) throw this.malformed(`a name must be text of at most ${maxNameLength} characters`);
    const full = parts.join(".");
    const { allow } = this.#options;
    if (!allow.has(full)) throw this.#unsafe("a pickle may only name what plain data needs", full);
    this.push(new PickleGlobal(full, allow.get(full)));
  }

  reduce(): void {
    const args = this.pop();
    const callable = this.pop();
    if (!(callable instanceof PickleGlobal)) throw this.malformed("REDUCE must call a name");
    if (!(args instanceof PickleTuple)) throw this.malformed("REDUCE must call with a tuple");
    if (callable.construct === undefined) throw this.malformed("this name may not be called", callable.name);
    const value = callable.construct(args.items, this);
    if (isContainer(value)) this.#place(value, args.items);
    this.push(value);
  }

  build(): void {
    const state = this.pop();
    const object = this.top();
    if (!isContainer(object) || !("setState" in object) || object.setState === undefined) {
      throw this.malformed("BUILD needs an object that takes a state");
    }
    this.#place(object, [state]);
    object.setState(state, this);
  }

  persistentId(id: PickleValue): void {
    const { persistentLoad } = this.#options;
    if (persistentLoad === undefined) throw this.#unsafe("a pickle must not point outside itself (persistent id)");
    this.push(persistentLoad(id, this));
  }

  malformed(rule: string, got?: unknown): PatchDropError {
    return this.reader.malformed(rule, got);
  }

  charge(bytes: number): void {
    this.#charged += bytes;
    if (this.#charged > this.#maxCharged) throw this.#tooLarge("a pickle must not unpack to many times its size");
  }

  #unsafe(rule: string, got?: string): PatchDropError {
    const where = `${this.reader.where}: byte ${this.reader.offset}`;
    return fault("unsafe", { where, rule, got, next: this.#options.unsafeNext });
  }

  #tooLarge(rule: string): PatchDropError {
    return fault("resource", { where: `${this.reader.where}: byte ${this.reader.offset}`, rule });
  }
}

function isContainer(value: PickleValue): value is Container {
  return typeof value === "object" && value !== null && !(value instanceof Uint8Array || value instanceof PickleGlobal);
}
