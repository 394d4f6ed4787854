/** What a schema finds wrong, in words: small schemas by hand, each with a value that breaks one rule. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { refusal } from "./commands.ts";

const parse = () => import("../../src/options/parse.ts");

/** What is refused of these options of the command `cut`. */
async function refused(schema: z.ZodType, given: Record<string, unknown>, prefix?: string) {
  const { parseWith } = await parse();
  return refusal(() => parseWith(schema, given, "cut", prefix));
}

describe("one rule broken", () => {
  const number = z.number();
  it.each<[string, z.ZodType, unknown]>([
    ["must be given", number, undefined],
    ["must be a number, got nothing", number, null],
    ["must be a number, got 7", number, "7"],
    ["must be a whole number, got 0.5", z.int(), 0.5],
    ["must be text, got 7", z.string(), 7],
    ["must be true or false, got on", z.boolean(), "on"],
    ["must be keys with values, got 7", z.record(z.string(), z.string()), 7],
    ["must be keys with values, got 7", z.object({}), 7],
    ["must be at least 2, got 1", number.min(2), 1],
    ["must be above 2, got 2", number.gt(2), 2],
    ["must be at most 2, got 3", number.max(2), 3],
    ["must be below 2, got 2", number.lt(2), 2],
    ["must be one of a, b, got c", z.enum(["a", "b"]), "c"],
    ["must be at least two, got 1", number.min(2, "must be at least two"), 1],
    ["needs a friend, got x", z.string().refine(() => false, "needs a friend"), "x"],
    // The schema's own words must begin so, or the rule is said in ours.
    ["must be at least 2, got 1", number.min(2, "this must be two"), 1],
  ])("%s", async (said, schema, value) => {
    const message = `usage: --size: ${said}; see \`patchdrop cut --help\``;
    expect(await refused(z.object({ size: schema }), { size: value })).toBe(message);
  });
});

it("all faults together, each at its place behind the prefix", async () => {
  const schema = z.strictObject({ depth: z.int(), inner: z.strictObject({ width: z.number() }) });
  const given = { inner: { width: "x", hue: 1 }, shade: "dark" };
  const next = "see `patchdrop cut --help`";
  expect(await refused(schema, given, "a.yaml: ")).toBe(
    [
      `usage: a.yaml: depth: must be given; ${next}`,
      `a.yaml: inner.width: must be a number, got x; ${next}`,
      `a.yaml: inner.hue: must be an option of cut, got 1; ${next}`,
      `a.yaml: shade: must be an option of cut, got dark; ${next}`,
    ].join("\n"),
  );
});

it("what passes is given as the schema makes it", async () => {
  const { parseWith } = await parse();
  const schema = z.object({ size: z.number().default(3), name: z.string().transform((name) => name.length) });
  expect(parseWith(schema, { name: "four" }, "cut")).toEqual({ size: 3, name: 4 });
});

it("a key that breaks a rule is named with the rule", async () => {
  const { faultsOf } = await parse();
  const schema = z.object({ stages: z.record(z.string().regex(/^[a-z]+$/, "must be letters"), z.number()) });
  const given = { stages: { "a/b": 1 } };
  expect(faultsOf(schema.safeParse(given).error!, given, "file: ", "must be known")).toEqual([
    { where: "file: stages.a/b", rule: "must be letters", got: 1 },
  ]);
});

it("nothing is found where the value has no inside", async () => {
  const { faultsOf } = await parse();
  const schema = z.object({ inner: z.object({ width: z.number() }) });
  const { error } = schema.safeParse({ inner: {} });
  for (const given of [undefined, null, 7, { inner: null }]) {
    expect(faultsOf(error!, given, "", "")).toEqual([{ where: "inner.width", rule: "must be given", got: undefined }]);
  }
});
