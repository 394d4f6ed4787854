/** A small reader of event files for tests: checks each record's CRCs, and refuses a field that our writer does not write. */

import { maskedCrc32c } from "../../src/formats/tensorboard-events.ts";

export interface ScalarEvent {
  wallTime: number;
  step: number;
  fileVersion?: string;
  scalars: Record<string, number>;
  /** PNG files, by tag. */
  images?: Record<string, Uint8Array>;
  /** Of the event that has them. */
  hyperparameters?: Record<string, number | boolean | string>;
}

export function decodeEvents(file: Uint8Array): ScalarEvent[] {
  const bytes = Uint8Array.from(file); // a Buffer's slice would not copy
  const view = new DataView(bytes.buffer);
  const events: ScalarEvent[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = Number(view.getBigUint64(at, true));
    const data = bytes.slice(at + 12, at + 12 + length);
    if (view.getUint32(at + 8, true) !== maskedCrc32c(bytes.slice(at, at + 8))) throw new Error("CRC of a length");
    if (view.getUint32(at + 12 + length, true) !== maskedCrc32c(data)) throw new Error("CRC of a record");
    events.push(decodeEvent(data));
    at += 16 + length;
  }
  return events;
}

function decodeEvent(data: Uint8Array): ScalarEvent {
  const event: ScalarEvent = { wallTime: Number.NaN, step: 0, scalars: {} };
  for (const [field, value] of fields(data)) {
    if (field === 1) event.wallTime = view(value).getFloat64(0, true);
    else if (field === 2) event.step = value as number;
    else if (field === 3) event.fileVersion = new TextDecoder().decode(value as Uint8Array);
    else if (field === 5) for (const [, one] of fields(value as Uint8Array)) addValue(event, one as Uint8Array);
    else throw new Error(`event field ${field}`);
  }
  return event;
}

function addValue(event: ScalarEvent, data: Uint8Array): void {
  const values = new Map(fields(data));
  const tag = text(values.get(1));
  if (values.has(4)) event.images = { ...event.images, [tag]: inside(values, [4, 4]) };
  else if (values.has(9)) event.hyperparameters = decodeHyperparameters(inside(values, [9, 1, 2]));
  else event.scalars[tag] = view(values.get(2)).getFloat32(0, true);
}

/** The bytes that lie at these fields, each in the one before. */
function inside(values: ReadonlyMap<number, number | Uint8Array>, path: readonly number[]): Uint8Array {
  const [first, ...rest] = path;
  const found = values.get(first) as Uint8Array;
  return rest.length === 0 ? found : inside(new Map(fields(found)), rest);
}

function decodeHyperparameters(content: Uint8Array): Record<string, number | boolean | string> {
  const session = inside(new Map(fields(content)), [3]);
  const entries = Array.from(fields(session), ([, entry]) => new Map(fields(entry as Uint8Array)));
  return Object.fromEntries(entries.map((entry) => [text(entry.get(1)), decodeValue(entry.get(2) as Uint8Array)]));
}

function decodeValue(data: Uint8Array): number | boolean | string {
  const [[field, value]] = fields(data);
  if (field === 2) return view(value).getFloat64(0, true);
  return field === 3 ? text(value) : value === 1;
}

function text(value: number | Uint8Array | undefined): string {
  return new TextDecoder().decode(value as Uint8Array);
}

/** Field number and value of a message: a number for a varint, else the bytes. */
function* fields(data: Uint8Array): Generator<[number, number | Uint8Array]> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = data[at++] ?? 0;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  };
  while (at < data.length) {
    const key = varint();
    const type = key & 7;
    if (type === 0) {
      yield [key >> 3, varint()];
    } else {
      const length = type === 1 ? 8 : type === 5 ? 4 : varint();
      at += length;
      yield [key >> 3, data.slice(at - length, at)];
    }
  }
}

function view(value: number | Uint8Array | undefined): DataView {
  return new DataView((value as Uint8Array).buffer as ArrayBuffer);
}
