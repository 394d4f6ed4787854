import { crc32 } from "node:zlib";
import { afterEach, describe, expect, it, vi } from "vitest";
import { readStoredZip, writeStoredZip } from "../../src/formats/stored-zip.ts";

const nine = new TextEncoder().encode("123456789");
const entries = new Map([
  ["a/nine", nine],
  ["a/none", new Uint8Array(0)],
]);

afterEach(() => {
  vi.doUnmock("node:zlib");
  vi.resetModules();
});

/** The archive of "a/nine" alone, its sizes and offset only in a 64-bit extra field, as an archive of over 4 GiB has them. */
function wide(extra: readonly bigint[]): Uint8Array {
  const archive = Buffer.from(writeStoredZip(new Map([["a/nine", nine]])));
  const end = archive.length - 22;
  const start = archive.readUInt32LE(end + 16);
  const entry = Buffer.from(archive.subarray(start, end));
  for (const field of [20, 24, 42]) entry.writeUInt32LE(0xffffffff, field);
  const values = Buffer.from(BigUint64Array.from(extra).buffer);
  entry.writeUInt16LE(4 + values.length, 30);
  const header = Buffer.from(Uint16Array.of(1, values.length).buffer);
  return Buffer.concat([archive.subarray(0, start), entry, header, values, archive.subarray(end)]);
}

describe("stored zip", () => {
  it("reads what it writes, as views", () => {
    const archive = writeStoredZip(entries);
    const read = readStoredZip(archive, "zip");
    expect(read).toEqual(entries);
    expect(read.get("a/nine")!.buffer).toBe(archive.buffer);
    // The check value of CRC-32 in the catalogues: that of "123456789" is cbf43926.
    expect(new DataView(archive.buffer).getUint32(14, true)).toBe(0xcbf43926);
  });

  it("computes checksums where Node has none", async () => {
    vi.doMock("node:zlib", () => ({ default: {} }));
    vi.resetModules();
    const old = await import("../../src/formats/stored-zip.ts");
    expect(crc32(nine)).toBe(0xcbf43926);
    expect(old.writeStoredZip(entries)).toEqual(writeStoredZip(entries));
    const { crc32: ours } = await import("../../src/formats/crc32.ts");
    expect(ours(nine.subarray(4), ours(nine.subarray(0, 4)))).toBe(0xcbf43926);
  });

  it("reads sizes and offsets of 64 bits, and refuses those that lead outside", () => {
    expect(readStoredZip(wide([9n, 9n, 0n]), "zip")).toEqual(new Map([["a/nine", nine]]));
    expect(() => readStoredZip(wide([9n, 9n]), "zip")).toThrow("zip: an entry's 64-bit sizes must be there");
    expect(() => readStoredZip(wide([9n, 9n, 1n << 63n]), "zip")).toThrow(
      "zip: a zip archive's numbers must lie within it, got 9223372036854775808; is the file whole?",
    );
  });

  it("reads behind a comment, and refuses a name that differs in front of the content", () => {
    const archive = Buffer.from(writeStoredZip(entries));
    const commented = Buffer.concat([archive, Buffer.from("PK\x05\x06 hello")]);
    commented.writeUInt16LE(10, archive.length - 2);
    expect(readStoredZip(commented, "zip")).toEqual(entries);
    archive.write("b", 30);
    expect(() => readStoredZip(archive, "zip")).toThrow(
      "an entry's name must be the same in the directory and in its header, got a/nine",
    );
  });
});
