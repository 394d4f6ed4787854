/** Weights that were learned from red, green and blue, for images of other bands. */
import { asFloat32, type StateDict } from "../formats/safetensors.ts";

const colours = ["red", "green", "blue"];

/**
 * Weights whose first convolution takes three channels, as one that takes the bands. A band with a colour's name begins with that colour's
 * filters, any other with the mean of the three; all are multiplied by 3 / C, so that what the layer gives is about as large as it was.
 * Three bands, whatever they are called, take the filters as they are, one after the other.
 * @param name of the first convolution's weights, [O, 3, h, w]
 */
export function carryBands(state: StateDict, name: string, bands: readonly string[]): StateDict {
  const tensor = state.get(name);
  if (tensor === undefined || tensor.shape[1] !== colours.length || bands.length === colours.length) return state;
  const [outputs, , height, width] = tensor.shape;
  const learned = asFloat32(tensor);
  const area = height * width;
  const carried = new Float32Array(outputs * bands.length * area);
  for (let output = 0; output < outputs; output++) {
    for (const [band, called] of bands.entries()) {
      const own = colours.indexOf(called.toLowerCase());
      for (let at = 0; at < area; at++) {
        const of = (colour: number) => learned[(output * colours.length + colour) * area + at];
        const value = own >= 0 ? of(own) : (of(0) + of(1) + of(2)) / colours.length;
        carried[(output * bands.length + band) * area + at] = (value * colours.length) / bands.length;
      }
    }
  }
  const shape = [outputs, bands.length, height, width];
  return new Map([...state, [name, { dtype: "F32", shape, data: new Uint8Array(carried.buffer) }]]);
}
