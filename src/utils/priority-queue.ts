/** A priority queue: a binary heap of items, of which the one with the smallest key comes first, and of equals any. */

export interface Keyed<T> {
  readonly item: T;
  readonly key: number;
}

export class Heap<T> {
  readonly #entries: Keyed<T>[] = [];

  push(item: T, key: number): void {
    const entries = this.#entries;
    let at = entries.length;
    entries.push({ item, key });
    for (let above = (at - 1) >> 1; at > 0 && entries[above].key > key; above = (at - 1) >> 1) {
      [entries[at], entries[above]] = [entries[above], entries[at]];
      at = above;
    }
  }

  pop(): Keyed<T> | undefined {
    const entries = this.#entries;
    const [first] = entries;
    const last = entries.pop();
    if (first === undefined || last === undefined || entries.length === 0) return first;
    entries[0] = last;
    for (let at = 0; ; ) {
      const [left, right] = [2 * at + 1, 2 * at + 2];
      let least = at;
      if (left < entries.length && entries[left].key < entries[least].key) least = left;
      if (right < entries.length && entries[right].key < entries[least].key) least = right;
      if (least === at) return first;
      [entries[at], entries[least]] = [entries[least], entries[at]];
      at = least;
    }
  }
}
