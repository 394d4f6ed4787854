/**
 * Who frees a tensor. One rule: arguments are borrowed, results belong to the innermost open scope.
 *
 *     // bad: three tensors stay alive for as long as the enclosing scope does
 *     const y = relu(batchNorm(conv(x)));
 *
 *     // good: the two in between are freed as soon as y is there
 *     const y = scope(() => relu(batchNorm(conv(x))));
 *
 * What a scope's body returns moves to the enclosing scope; `keep` takes a tensor out of all scopes, and its holder
 * frees it. Using a freed tensor throws "… was freed".
 */
import type { Tensor } from "./tensor.ts";

/** What a scope can hand outward: tensors inside arrays and plain objects are found. */
const scopes: Set<Tensor>[] = [];

/** Runs `body`, then frees every tensor made in it except those that it returns. `body` must not be asynchronous. */
export function scope<T>(body: () => T): T {
  const own = new Set<Tensor>();
  scopes.push(own);
  let moved: Set<Tensor> | undefined;
  try {
    const result = body();
    moved = new Set();
    collect(result, moved);
    return result;
  } finally {
    scopes.pop();
    const outer = scopes.at(-1);
    for (const tensor of own) {
      if (moved?.has(tensor)) outer?.add(tensor);
      else tensor.free();
    }
  }
}

/** Enters a new tensor into the innermost scope; without one it lives until it is freed. */
export function register(tensor: Tensor): void {
  scopes.at(-1)?.add(tensor);
}

/** Takes a tensor out of its scope: the caller now frees it. */
export function keep<T extends Tensor>(tensor: T): T {
  for (let i = scopes.length - 1; i >= 0; i--) if (scopes[i].delete(tensor)) break;
  return tensor;
}

function collect(value: unknown, found: Set<Tensor>): void {
  if (typeof value !== "object" || value === null || ArrayBuffer.isView(value)) return;
  if ("free" in value && "handle" in value) {
    found.add(value as Tensor);
  } else if (Array.isArray(value)) {
    for (const item of value) collect(item, found);
  } else if (Object.getPrototypeOf(value) === Object.prototype) {
    for (const item of Object.values(value)) collect(item, found);
  }
}
