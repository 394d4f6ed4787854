/** The mean of some numbers, one or more. */
export function meanOf(values: Iterable<number> & { readonly length: number }): number {
  let total = 0;
  for (const value of values) total += value;
  return total / values.length;
}
