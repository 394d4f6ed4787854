/**
 * A disk that forgets. The calls of the file system that a writer makes are recorded as effects on names and bytes; after a
 * loss of power, an effect that no fsync has made durable is there or is not, whatever came after it. Strict POSIX: an fsync
 * of a file makes its bytes durable, and one of a folder its names. Real file systems keep more.
 */
import { createHash } from "node:crypto";
import { fstatSync, mkdirSync, readdirSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { type Call, intercept } from "./fs-calls.ts";

/** Numbers files, folders and links; 0 is the folder that all lies in. */
type Node = number;

type Effect =
  /** New meanings of names in a folder; undefined for a name that is gone. They come together, or not at all. */
  | { readonly kind: "names"; readonly of: Node; readonly names: ReadonlyMap<string, Node | undefined> }
  | { readonly kind: "bytes"; readonly of: Node; readonly at: number; readonly bytes: Uint8Array }
  | { readonly kind: "cut"; readonly of: Node; readonly length: number };
type Event = Effect | { readonly kind: "sync"; readonly of: Node } | { readonly kind: "mark"; readonly mark: number };

/** What is on the disk after a loss of power. */
export interface CrashState {
  /** How many events came before it. */
  readonly before: number;
  /** The effects that were lost, as numbers of events. */
  readonly lost: ReadonlySet<number>;
  /** One of which only the first half was kept. */
  readonly torn: number | undefined;
  /** The last mark before it. */
  readonly mark: number;
}

const watched = [
  ...["openSync", "closeSync", "writeSync", "fsyncSync", "ftruncateSync", "mkdirSync"],
  ...["renameSync", "symlinkSync", "linkSync", "rmSync", "copyFileSync"],
];
/** Up to so many effects that may be lost, all combinations are tried. */
const mostCombined = 8;

export class ModelDisk {
  readonly #root: string;
  readonly #events: Event[] = [];
  /** By path, as the writer sees them. */
  readonly #nodes = new Map<string, Node>();
  readonly #links = new Map<Node, string>();
  readonly #folders = new Set<Node>([0]);
  readonly #open = new Map<number, { node: Node; at: number }>();
  #next: Node = 1;

  constructor(root: string) {
    this.#root = root;
    this.#nodes.set(root, 0);
  }

  /** Runs `write`, recording what it does below the root; it marks what is reached. */
  record(write: (mark: (reached: number) => void) => void): void {
    const undo = intercept(watched, (call) => this.#on(call));
    try {
      write((mark) => this.#events.push({ kind: "mark", mark }));
    } finally {
      undo();
    }
  }

  get length(): number {
    return this.#events.length;
  }

  /** Every state that differs from those before it. */
  *states(): Generator<CrashState> {
    const seen = new Set<string>();
    for (let before = 0; before <= this.#events.length; before++) {
      const mark = this.#events
        .slice(0, before)
        .reduce((last, event) => (event.kind === "mark" ? event.mark : last), 0);
      for (const { lost, torn } of this.#losses(before)) {
        const state = { before, lost, torn, mark };
        const hash = this.#hash(state);
        if (!seen.has(hash)) yield state;
        seen.add(hash);
      }
    }
  }

  /** Puts a state into an empty folder; `edit` may change a file's bytes. */
  restore(state: CrashState, folder: string, edit: (bytes: Buffer) => Buffer): void {
    for (const [path, content] of this.#tree(state)) {
      const target = join(folder, path);
      if (content === "folder") mkdirSync(target, { recursive: true });
      else if (typeof content === "string") symlinkSync(content.slice("link ".length), target);
      else writeFileSync(target, edit(content));
    }
  }

  #on({ name, given, make }: Call): unknown {
    const [path, second] = given.map((one) => (typeof one === "string" ? one : ""));
    const inside = path.startsWith(this.#root);
    switch (name) {
      case "openSync":
        return this.#opened(path, second, make);
      case "closeSync":
        this.#open.delete(Number(given[0]));
        return make();
      case "writeSync":
        return this.#written(given, make);
      case "fsyncSync":
        return this.#onFile(given, make, ({ node }) => this.#events.push({ kind: "sync", of: node }));
      case "ftruncateSync":
        return this.#onFile(given, make, ({ node }) =>
          this.#events.push({ kind: "cut", of: node, length: Number(given[1]) }),
        );
      case "mkdirSync":
        make();
        if (inside) this.#folders.add(this.#make(path));
        return undefined;
      case "symlinkSync":
        make();
        this.#links.set(this.#make(second), path);
        return undefined;
      case "renameSync":
        make();
        if (inside) this.#renamed(path, second);
        return undefined;
      case "linkSync":
        make();
        if (inside) this.#name(second, this.#nodes.get(path));
        return undefined;
      case "rmSync":
        if (inside) this.#removed(path);
        return make();
      default:
        throw new Error(`${name} is not modelled`);
    }
  }

  #opened(path: string, flags: string, make: () => unknown): unknown {
    const isNew = path.startsWith(this.#root) && statSync(path, { throwIfNoEntry: false }) === undefined;
    const file = make();
    if (isNew) this.#make(path);
    const node = this.#nodes.get(path);
    const at = flags === "a" ? fstatSync(Number(file)).size : 0;
    if (node !== undefined) this.#open.set(Number(file), { node, at });
    return file;
  }

  #written(given: readonly unknown[], make: () => unknown): unknown {
    const done = Number(make());
    const [file, bytes, offset] = given;
    const open = this.#open.get(Number(file));
    if (open === undefined || !(bytes instanceof Uint8Array)) return done;
    const from = Number(offset ?? 0);
    this.#events.push({ kind: "bytes", of: open.node, at: open.at, bytes: bytes.slice(from, from + done) });
    open.at += done;
    return done;
  }

  #onFile(given: readonly unknown[], make: () => unknown, then: (open: { node: Node }) => void): unknown {
    const result = make();
    const open = this.#open.get(Number(given[0]));
    if (open !== undefined) then(open);
    return result;
  }

  #make(path: string): Node {
    const node = this.#next++;
    this.#name(path, node);
    return node;
  }

  #name(path: string, node: Node | undefined): void {
    const folder = this.#nodes.get(dirname(path));
    if (folder === undefined || node === undefined) throw new Error(`${path} has no folder`);
    this.#nodes.set(path, node);
    this.#events.push({ kind: "names", of: folder, names: new Map([[basename(path), node]]) });
  }

  #renamed(from: string, to: string): void {
    const [folder, node] = [this.#nodes.get(dirname(from)), this.#nodes.get(from)];
    if (folder === undefined || node === undefined || dirname(from) !== dirname(to)) {
      throw new Error(`${from} to ${to} is not modelled`);
    }
    const names = new Map([
      [basename(from), undefined],
      [basename(to), node],
    ]);
    this.#events.push({ kind: "names", of: folder, names });
    for (const [path, of] of [...this.#nodes]) {
      if (path !== from && !path.startsWith(`${from}/`)) continue;
      this.#nodes.delete(path);
      this.#nodes.set(to + path.slice(from.length), of);
    }
  }

  /** Entry by entry, as a removal goes. */
  #removed(path: string): void {
    const [folder, node] = [this.#nodes.get(dirname(path)), this.#nodes.get(path)];
    if (folder === undefined || node === undefined) return;
    if (this.#folders.has(node)) for (const name of readdirSync(path)) this.#removed(join(path, name));
    this.#nodes.delete(path);
    this.#events.push({ kind: "names", of: folder, names: new Map([[basename(path), undefined]]) });
  }

  /** The effects among the first `before` events that no sync has made durable. */
  #unsynced(before: number): number[] {
    const events = this.#events.slice(0, before);
    const isDurable = (at: number, of: Node) =>
      events.slice(at).some((later) => later.kind === "sync" && later.of === of);
    return events.flatMap((event, at) =>
      event.kind === "sync" || event.kind === "mark" || isDurable(at, event.of) ? [] : [at],
    );
  }

  *#losses(before: number): Generator<{ lost: ReadonlySet<number>; torn: number | undefined }> {
    const unsynced = this.#unsynced(before);
    for (const lost of combinations(unsynced)) yield { lost: new Set(lost), torn: undefined };
    for (const torn of unsynced) {
      if (this.#events[torn].kind === "bytes") yield { lost: new Set(), torn };
    }
  }

  /** Folders, links and files by their paths, folders before what they hold. */
  #tree({ before, lost, torn }: CrashState): Map<string, "folder" | `link ${string}` | Buffer> {
    const names = new Map<Node, Map<string, Node>>();
    const bytes = new Map<Node, Buffer>();
    for (const [at, event] of this.#events.slice(0, before).entries()) {
      if (lost.has(at) || event.kind === "sync" || event.kind === "mark") continue;
      if (event.kind === "names") rename(getOr(names, event.of, new Map()), event.names);
      else bytes.set(event.of, changed(bytes.get(event.of) ?? Buffer.alloc(0), event, at === torn));
    }
    const tree = new Map<string, "folder" | `link ${string}` | Buffer>();
    const walk = (folder: Node, path: string) => {
      for (const [name, node] of names.get(folder) ?? []) {
        const [own, link] = [join(path, name), this.#links.get(node)];
        if (link !== undefined) tree.set(own, `link ${link}`);
        else if (!this.#folders.has(node)) tree.set(own, bytes.get(node) ?? Buffer.alloc(0));
        else {
          tree.set(own, "folder");
          walk(node, own);
        }
      }
    };
    walk(0, "");
    return tree;
  }

  #hash(state: CrashState): string {
    const hash = createHash("sha256").update(`${state.mark}\n`);
    for (const [path, content] of this.#tree(state)) hash.update(`${path}\n${content.length}\n`).update(content);
    return hash.digest("hex");
  }
}

function getOr<K, V>(map: Map<K, V>, key: K, otherwise: V): V {
  const found = map.get(key) ?? otherwise;
  map.set(key, found);
  return found;
}

function rename(folder: Map<string, Node>, names: ReadonlyMap<string, Node | undefined>): void {
  for (const [name, node] of names) {
    if (node === undefined) folder.delete(name);
    else folder.set(name, node);
  }
}

/** What lies between the old end and a write behind it, because a write before was lost, is zeros. */
function changed(old: Buffer, effect: Exclude<Effect, { kind: "names" }>, torn: boolean): Buffer {
  if (effect.kind === "cut") return old.subarray(0, effect.length);
  const bytes = torn ? effect.bytes.subarray(0, effect.bytes.length >> 1) : effect.bytes;
  const result = Buffer.alloc(Math.max(old.length, effect.at + bytes.length));
  old.copy(result);
  result.set(bytes, effect.at);
  return result;
}

/** All subsets of a few; of more, none, all, each alone, all but each, and all from each on. */
function* combinations(items: readonly number[]): Generator<readonly number[]> {
  if (items.length <= mostCombined) {
    for (let bits = 0; bits < 2 ** items.length; bits++) yield items.filter((_, i) => (bits >> i) & 1);
    return;
  }
  yield [];
  for (const [i, item] of items.entries()) {
    yield [item];
    yield items.filter((other) => other !== item);
    yield items.slice(i);
  }
}
