import { describe, expect, it } from "vitest";
import { assertJson, isJsonObject, type JsonValue, parsePythonJson, toJson } from "../../src/files/json.ts";

describe("assertJson", () => {
  it.each<JsonValue>([null, true, "NaN", -1.5, [], {}, { a: [1, { b: null }] }])("takes %j", (value) => {
    expect(() => assertJson(value, "value")).not.toThrow();
  });

  it.each<[JsonValue, string, string]>([
    [Number.NaN, "value", "NaN"],
    [[0, Number.POSITIVE_INFINITY], "value.1", "Infinity"],
    [{ a: { b: [Number.NEGATIVE_INFINITY] } }, "value.a.b.0", "-Infinity"],
  ])("refuses a number that JSON cannot hold, by its place: %o", (value, where, got) => {
    expect(() => assertJson(value, "value")).toThrow(
      expect.objectContaining({
        kind: "internal",
        message: `${where}: must be finite to be saved as JSON, got ${got}`,
      }),
    );
  });
});

describe("isJsonObject", () => {
  it("is true of objects alone", () => {
    expect([{}, { a: 1 }].map(isJsonObject)).toEqual([true, true]);
    expect([null, undefined, [], "a", 1, true].map(isJsonObject)).toEqual(Array(6).fill(false));
  });
});

describe("toJson", () => {
  it("leaves out what is undefined", () => {
    expect(toJson({ a: 1, b: undefined, c: [{ d: undefined }] })).toStrictEqual({ a: 1, c: [{}] });
  });
});

describe("parsePythonJson", () => {
  it.each([
    // As Python 3's json.dumps writes each, which also puts no byte order mark; "utf-8-sig" does.
    ['{"a": NaN, "b": [Infinity, -Infinity]}', { a: null, b: [null, null] }],
    ["\ufeff[1, -2.5]", [1, -2.5]],
    ['"NaN, \\"Infinity\\" and \\\\"', 'NaN, "Infinity" and \\'],
    ['{"NaN": "-Infinity"}', { NaN: "-Infinity" }],
  ])("reads %s", (text, value) => {
    expect(parsePythonJson(text)).toEqual(value);
  });

  it.each(["[NaN", '{"a": nan}', '["NaN]', "[xNaN]", "[--Infinity]", '["\\'])("refuses %s", (text) => {
    expect(() => parsePythonJson(text)).toThrow(SyntaxError);
  });
});
