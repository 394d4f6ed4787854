/** What options say of themselves: read from small schemas by hand, then held against all schemas of the program. */
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { modelNames } from "../../src/models/registry.ts";
import { acquireSchema } from "../../src/options/acquire-options.ts";
import { checkSchema, fmowSchema, splitSchema, statsSchema } from "../../src/options/data-options.ts";
import { evalSchema } from "../../src/options/eval-options.ts";
import { exportSchema } from "../../src/options/export-options.ts";
import { headroomSchema } from "../../src/options/headroom-options.ts";
import { byModel, defaultsFor, describeOption, folder, oneOf, shownAs, text } from "../../src/options/option.ts";
import { predictSchema } from "../../src/options/predict-options.ts";
import { profileSchema } from "../../src/options/profile-options.ts";
import { reportSchema } from "../../src/options/report-options.ts";
import { quickstartSchema, runSchema } from "../../src/options/run-options.ts";
import { schemas } from "../../src/options/stage-options.ts";

const commands: Record<string, z.ZodObject> = {
  ...schemas,
  eval: evalSchema,
  headroom: headroomSchema,
  profile: profileSchema,
  predict: predictSchema,
  acquire: acquireSchema,
  export: exportSchema,
  report: reportSchema,
  run: runSchema,
  quickstart: quickstartSchema,
  "data fmow": fmowSchema,
  "data check": checkSchema,
  "data stats": statsSchema,
  "data split": splitSchema,
};

describe("describeOption", () => {
  it("reads a text's placeholder through what wraps it, and that it is required", () => {
    expect(describeOption(folder("where"))).toEqual({
      type: "text",
      placeholder: "folder",
      description: "where",
      required: true,
      default: undefined,
      modelDefaults: undefined,
    });
    const wrapped = folder("where").optional().default("here").describe("over it");
    expect(describeOption(wrapped)).toMatchObject({
      placeholder: "folder",
      description: "over it",
      required: false,
      default: "here",
    });
  });

  it("lets the outer description and placeholder count", () => {
    const piece = text("name", "inner").optional();
    expect(describeOption(shownAs("r,g,b", piece.describe("outer")))).toMatchObject({
      placeholder: "r,g,b",
      description: "outer",
    });
    expect(describeOption(piece)).toMatchObject({ placeholder: "name", description: "inner" });
  });

  it("knows a text that becomes something else by its text", () => {
    const bands = shownAs(
      "r,g,b",
      z.string().transform((bands) => bands.split(",")),
    );
    expect(describeOption(bands.optional().describe("bands"))).toMatchObject({ type: "text", placeholder: "r,g,b" });
  });

  it("says of each entry of a table what it is", () => {
    const option = oneOf("what to eat", { pear: { words: "sweet" }, leek: { words: "for soup" } }).default("leek");
    expect(describeOption(option)).toMatchObject({
      type: "text",
      placeholder: "pear|leek",
      description: "what to eat: pear, sweet; leek, for soup",
      default: "leek",
    });
    expect(option.safeParse("plum").success).toBe(false);
  });

  it("calls a text that says nothing of itself a text", async () => {
    const { describeOption } = await import("../../src/options/option.ts");
    expect(describeOption(z.string())).toMatchObject({ type: "text", placeholder: "text", description: "" });
  });

  it("shows numbers, choices and switches by their type", () => {
    expect(describeOption(z.number().min(2).default(0))).toMatchObject({
      type: "number",
      placeholder: "n",
      default: 0,
    });
    expect(describeOption(z.enum(["a", "b"]).optional())).toMatchObject({ type: "text", placeholder: "a|b" });
    expect(describeOption(z.boolean().default(false))).toMatchObject({ type: "switch", default: false });
  });
});

describe("defaults by model", () => {
  const shape = { rate: byModel(z.number(), { any: 0.5, large: 0.25 }), seed: z.number().default(1) };

  it("are those of the model, or of any other", () => {
    expect(defaultsFor("large", shape)).toEqual({ rate: 0.25 });
    expect(defaultsFor("small", shape)).toEqual({ rate: 0.5 });
  });

  it("are looked up by the tables' own names only", () => {
    for (const name of ["toString", "constructor", "__proto__"])
      expect(defaultsFor(name, shape)).toEqual({ rate: 0.5 });
  });

  it("leave the option absent when parsed, and optional", () => {
    expect(z.object(shape).parse({})).toEqual({ seed: 1 });
    expect(describeOption(shape.rate)).toMatchObject({
      type: "number",
      required: false,
      default: undefined,
      modelDefaults: { any: 0.5, large: 0.25 },
    });
  });
});

const described = Object.entries(commands).flatMap(([command, { shape }]) =>
  Object.entries(shape).map(([name, entry]) => ({ command, name, entry, ...describeOption(entry) })),
);

it("defaults by model name models that there are, and pass the option's own checks", () => {
  const tables = described.filter(({ modelDefaults }) => modelDefaults !== undefined);
  expect(tables.map(({ command, name }) => `${command} ${name}`)).toEqual([
    ...["classifier_training lr", "pretrain batch_size", "finetune penalty", "finetune2stream penalty"],
  ]);
  for (const { entry, modelDefaults } of tables) {
    for (const [model, value] of Object.entries(modelDefaults!)) {
      expect([...modelNames, "any"]).toContain(model);
      expect(z.parse(entry, value)).toBe(value);
    }
  }
});
