/**
 * Who frees a tensor. One rule: arguments are borrowed, results belong to the innermost open scope.
 *
 *     // bad: three tensors stay alive for as long as the enclosing scope does
 *     const y = relu(batchNorm(conv(x)));
 *
 *     // good: the two in between are freed as soon as y exists
 *     const y = scope(() => relu(batchNorm(conv(x))));
 *
 * What a scope's body returns moves to the enclosing scope; `keep` takes a tensor out of all scopes, and its holder
 * frees it. Using a freed tensor throws "… was freed".
 */

/** What a scope frees: a tensor, about which it knows nothing else. */
export interface Freeable {
  free(): void;
}

/** The open scopes, the innermost last, each with what was made in it. */
const scopes: Set<Freeable>[] = [];

/**
 * Runs `body`, then frees every tensor made in it except those that it returns: alone, or inside arrays and plain objects.
 * `body` must not be asynchronous.
 */
export function scope<T>(body: () => T): T {
  const own = new Set<Freeable>();
  scopes.push(own);
  const moved = new Set<unknown>();
  try {
    const result = body();
    collect(result, moved);
    return result;
  } finally {
    scopes.pop();
    const outer = scopes.at(-1);
    for (const tensor of own) {
      if (moved.has(tensor)) outer?.add(tensor);
      else tensor.free();
    }
  }
}

/** Enters a new tensor, of any shape, into the innermost scope; without one it lives until it is freed. */
export function register(tensor: Freeable): void {
  scopes.at(-1)?.add(tensor);
}

/** Takes a tensor, of any shape, out of its scope and returns it: now the caller frees it. */
export function keep<T extends Freeable>(tensor: T): T {
  for (let i = scopes.length - 1; i >= 0; i--) if (scopes[i].delete(tensor)) break;
  return tensor;
}

/** Collects everything that `value` is or holds, through arrays and plain objects; what is not a tensor does no harm. */
function collect(value: unknown, found: Set<unknown>): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value) || found.has(value)) return;
  found.add(value);
  if (Array.isArray(value)) {
    for (const item of value) collect(item, found);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) collect(item, found);
  }
}
