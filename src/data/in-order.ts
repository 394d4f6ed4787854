/** Works on several items at once and gives the results in the items' order, holding no more than are under way. */

export async function* inOrder<T, R>(
  items: Iterable<T> | AsyncIterable<T>,
  parallel: number,
  work: (item: T) => Promise<R>,
): AsyncGenerator<R> {
  const underway: Promise<R>[] = [];
  try {
    for await (const item of items) {
      const result = work(item);
      // It is awaited below, in its turn; until then a failure must not count as unhandled.
      result.catch(() => undefined);
      underway.push(result);
      if (underway.length >= parallel) yield await underway.shift()!;
    }
    while (underway.length > 0) yield await underway.shift()!;
  } finally {
    // Whoever stops early finds nothing still at work.
    await Promise.allSettled(underway);
  }
}
