/** The JSON Schema that editors check experiment files by. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Ajv } from "ajv";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { experimentJsonSchema } from "../../src/experiment/experiment-schema.ts";

const configs = fileURLToPath(new URL("../../configs", import.meta.url));
const validate = new Ajv({ allErrors: true, discriminator: false }).compile(experimentJsonSchema());

/** Where a text of YAML breaks the schema, and how. */
function faultsOf(text: string): string[] {
  validate(parse(text));
  return (validate.errors ?? []).map(({ instancePath, keyword }) => `${instancePath} ${keyword}`);
}

it("lies in configs/ as the sources give it", () => {
  const written = readFileSync(join(configs, "experiment.schema.json"), "utf8");
  expect(written, "run `npm run build`").toBe(`${JSON.stringify(experimentJsonSchema(), null, 2)}\n`);
});

describe("every file of configs/", () => {
  const files = readdirSync(configs).filter((name) => name.endsWith(".yaml"));
  it.each(files)("%s is valid, and names the schema for editors", (name) => {
    const text = readFileSync(join(configs, name), "utf8");
    expect(faultsOf(text)).toEqual([]);
    expect(text.split("\n")[0]).toBe("# yaml-language-server: $schema=./experiment.schema.json");
  });
});

it("takes the example of docs/experiments.md", () => {
  const page = readFileSync(join(configs, "..", "docs", "experiments.md"), "utf8");
  const lines = page.split("\n").filter((line) => line.startsWith("    "));
  const start = lines.findIndex((line) => line.includes("yaml-language-server"));
  const example = lines.slice(start, lines.findIndex((line) => line.includes("gallery:")) + 1).join("\n");
  expect(Object.keys(parse(example).stages)).toEqual(["hr", "lr", "pretrain", "finetune", "finetune2stream"]);
  expect(faultsOf(example)).toEqual([]);
});

describe("the schema", () => {
  const stage = "stages: { HR: { stage: classifier_training } }";
  it("takes required options from common, and names with capitals", () => {
    expect(
      faultsOf(`common: { ckpt_hr_cl: HR }\nstages: { HR: { stage: classifier_training }, b: { stage: pretrain } }`),
    ).toEqual([]);
  });

  it.each([
    ["a misspelt key", `stags: {}\n${stage}`, " additionalProperties"],
    ["no stages", "stages: {}", "/stages minProperties"],
    ["a misspelt key of common", `common: { sead: 1 }\n${stage}`, "/common additionalProperties"],
    ["a wrong value of common", `common: { seed: -1 }\n${stage}`, "/common/seed minimum"],
    ["what the experiment sets", `common: { cv_dir: a }\n${stage}`, "/common additionalProperties"],
    [
      "an option of another stage",
      "stages: { a: { stage: classifier_training, alpha: 0.9 } }",
      "/stages/a additionalProperties",
    ],
    ["an unknown stage", "stages: { a: { stage: training } }", "/stages/a/stage const"],
    ["a name that is no folder", "stages: { ../a: { stage: classifier_training } }", "/stages pattern"],
  ])("refuses %s", (_, text, fault) => {
    expect(faultsOf(text)).toContain(fault);
  });

  it("says what an option means, its default by stage, and that checkpoints may be stages", () => {
    const schema = JSON.parse(JSON.stringify(experimentJsonSchema()));
    const byStage = new Map<string, Record<string, { default?: unknown; description: string }>>(
      schema.properties.stages.additionalProperties.oneOf.map((one: { properties: { stage: { const: string } } }) => [
        one.properties.stage.const,
        one.properties,
      ]),
    );
    expect([...byStage].map(([name, options]) => [name, options.batch_size.default])).toEqual([
      ["classifier_training", 64],
      ["pretrain", undefined],
      ["finetune", 256],
      ["finetune2stream", 256],
    ]);
    expect(byStage.get("pretrain")!.batch_size.description).toBe(
      "images per step, over all ranks (default: 512; 1024 with R34_fMoW)",
    );
    expect(schema.properties.common.properties.batch_size).toEqual({
      type: "integer",
      minimum: 2,
      description: "images per step, over all ranks",
    });
    // Neither a stage's default nor what it requires holds for all.
    expect(schema.properties.common.properties.lr.description).toBe(
      "learning rate; with --schedule onecycle, the highest",
    );
    expect(schema.properties.common.properties.penalty.description).toBe("reward of a wrong answer");
    expect(schema.properties.common.properties.load.description).not.toContain("required");
    expect(byStage.get("pretrain")!.ckpt_hr_cl.description).toBe(
      "high-resolution classifier, the judge: run folder, checkpoint, or patchdrop:NAME; the name of an earlier stage of this file stands for its run folder (required, here or in common)",
    );
  });
});
