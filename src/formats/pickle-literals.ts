/**
 * The ways in which a pickle writes numbers and text: decimal lines, two's complement, Python's string escapes.
 * Source: CPython's Lib/pickletools.py ("stringnl", "unicodestringnl", "long1", "decimalnl_long").
 */

import type { ByteReader } from "./byte-reader.ts";
import { latin1 } from "./pickle-values.ts";

/** `parseInt` of long texts takes quadratic time; no number in these files comes near this length. */
const maxDigits = 1000;

/** A decimal line, with the "L" that Python 2 writes after a long. A bigint where a number would not be exact. */
export function decimalInteger(line: Uint8Array, reader: ByteReader): number | bigint {
  const text = line.length <= maxDigits ? latin1(line) : "";
  if (!/^[+-]?\d+L?$/.test(text)) throw reader.malformed("must be a decimal integer", text);
  return narrow(BigInt(text.replace(/^\+|L$/g, "")));
}

/** A line that holds a float as Python's `repr` writes it. */
export function decimalFloat(line: Uint8Array, reader: ByteReader): number {
  const text = line.length <= maxDigits ? latin1(line) : "";
  const special = new Map([
    ["inf", Number.POSITIVE_INFINITY],
    ["-inf", Number.NEGATIVE_INFINITY],
    ["nan", Number.NaN],
  ]).get(text);
  if (special !== undefined) return special;
  if (!/^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text)) throw reader.malformed("must be a decimal number", text);
  return Number(text);
}

/** Two's complement, least significant byte first; no bytes are 0. */
export function littleEndianInteger(bytes: Uint8Array): number | bigint {
  if (bytes.length === 0) return 0;
  const hex = Buffer.from(bytes).reverse().toString("hex");
  return narrow(BigInt.asIntN(8 * bytes.length, BigInt(`0x${hex}`)));
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

export function utf8(bytes: Uint8Array, reader: ByteReader): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw reader.malformed("text must be UTF-8");
  }
}

/*
 * The two kinds of escaped text are read byte by byte into an array of their size: a file's pixels may be written this way,
 * and tens of millions of matches of a regular expression do not fit in memory.
 */

const backslash = 0x5c;

/** Python's "raw-unicode-escape": latin-1 in which only \uXXXX and \UXXXXXXXX are escapes. */
export function rawUnicode(line: Uint8Array, reader: ByteReader): string {
  const units = new Uint16Array(line.length);
  let length = 0;
  for (let i = 0; i < line.length; i++) {
    const letter = line[i] === backslash ? line[i + 1] : undefined;
    const digits = letter === 0x75 ? 4 : letter === 0x55 ? 8 : 0; // u, U
    const code = digits === 0 ? line[i] : hexadecimal(line, i + 2, digits);
    if (code === undefined || code > 0x10ffff)
      throw reader.malformed(`\\u and \\U need 4 and 8 digits, at most 10ffff`);
    if (digits > 0) i += 1 + digits;
    if (code > 0xffff) units[length++] = 0xd800 + ((code - 0x10000) >> 10);
    units[length++] = code > 0xffff ? 0xdc00 + (code & 0x3ff) : code;
  }
  return Buffer.from(units.buffer, 0, 2 * length).toString("utf16le");
}

/** Of Python's string escapes, those of one letter. */
const letterEscapes: ReadonlyMap<number | undefined, number> = new Map(
  Object.entries({
    "\\": "\\",
    "'": "'",
    '"': '"',
    n: "\n",
    r: "\r",
    t: "\t",
    a: "\x07",
    b: "\b",
    f: "\f",
    v: "\v",
  }).map(([letter, meant]) => [letter.charCodeAt(0), meant.charCodeAt(0)]),
);

/** The bytes of a Python 2 string literal in quotes, as `repr` writes it. */
export function pythonString(line: Uint8Array, reader: ByteReader): Uint8Array {
  const quote = line[0];
  if (line.length < 2 || (quote !== 0x27 && quote !== 0x22) || line.at(-1) !== quote) {
    throw reader.malformed("a string must stand in quotes");
  }
  const literal = line.subarray(1, -1);
  const out = new Uint8Array(literal.length);
  let length = 0;
  for (let i = 0; i < literal.length; i++) {
    if (literal[i] !== backslash) {
      out[length++] = literal[i] ?? 0;
      continue;
    }
    i++;
    const isHex = literal[i] === 0x78; // x
    const code = isHex ? hexadecimal(literal, i + 1, 2) : letterEscapes.get(literal[i]);
    if (code === undefined) throw reader.malformed("a string's escapes must be those of Python's repr");
    if (isHex) i += 2;
    out[length++] = code;
  }
  return out.subarray(0, length);
}

/** Undefined where fewer than `digits` hexadecimal digits stand at `start`. */
function hexadecimal(bytes: Uint8Array, start: number, digits: number): number | undefined {
  let value = 0;
  for (let i = start; i < start + digits; i++) {
    const digit = Number.parseInt(String.fromCharCode(bytes[i] ?? 0), 16);
    if (Number.isNaN(digit)) return undefined;
    value = 16 * value + digit;
  }
  return value;
}
