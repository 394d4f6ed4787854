/** Float32 as IEEE 754 binary16: 1 bit of sign, 5 of exponent with bias 15, 10 of fraction. asFloat32 of safetensors.ts reads it. */

/** The bits of the nearest halves, of two as near the even one; infinity from 65,520 on. */
export function toHalf(values: Float32Array): Uint16Array {
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  return Uint16Array.from(values, (value, i) => halfBits(value, bits[i]));
}

const infinity = 0x7c00;
const notANumber = 0x7e00;
const leastExponent = -14;

/** @param bits of the value as float32 */
function halfBits(value: number, bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  if (Number.isNaN(value)) return notANumber;
  const exponent = Math.max(leastExponent, ((bits >>> 23) & 0xff) - 127);
  // How many of the steps between neighbouring halves; 1,024 of them and more carry the exponent's lowest bit.
  const steps = roundedToEven(Math.abs(value) / 2 ** (exponent - 10));
  return sign | Math.min(infinity, ((exponent - leastExponent) << 10) + steps);
}

function roundedToEven(value: number): number {
  const rounded = Math.round(value);
  return value % 1 === 0.5 && rounded % 2 === 1 ? rounded - 1 : rounded;
}
