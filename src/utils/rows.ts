/** Row `i` of an array of rows of that length; it shares the array's memory. */
export function row<A extends Uint8Array | Float32Array>(values: A, i: number, length: number): A {
  return values.subarray(i * length, (i + 1) * length) as A;
}
