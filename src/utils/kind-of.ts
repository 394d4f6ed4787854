/** What a value is, for errors about one of another type than promised: "Float32Array", "Object", "number". */
export function kindOf(value: unknown): string {
  return value instanceof Object ? value.constructor.name : value === null ? "null" : typeof value;
}
