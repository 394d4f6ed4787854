/** Flags made from a schema: what the help says of them, and what reaches the action. */
import { Command } from "commander";
import { expect, it } from "vitest";
import { z } from "zod";
import { addFlags, helpStyle } from "../../src/cli/flags.ts";
import { byModel, describeOptions, folder, onByDefault, repeatable, whole } from "../../src/options/option.ts";

const schema = z.strictObject({
  data_dir: folder("images"),
  out: folder("results").default("runs"),
  penalty: byModel(z.number(), { any: -5, R34_fMoW: -7, other: 0 }).describe("reward"),
  seed: whole(0).default(0).describe("random numbers"),
  query: repeatable("conditions", z.string()).optional().describe("what counts"),
  clip: z.number().optional().describe("bound"),
  fill: z.enum(["zero", "lr"]).default("zero").describe("dropped"),
  order: z.enum(["constant", "multistep", "step"]).default("step").describe("rate"),
  resume: z.boolean().default(false).describe("go on"),
  cuda_graph: z.boolean().default(true).describe("capture"),
  curriculum: onByDefault("in steps", "all at once"),
});

const options = describeOptions(schema);

function given(...words: string[]): Record<string, unknown> {
  const command = addFlags(new Command("test"), options);
  return command.parse(words, { from: "user" }).opts();
}

it("says placeholder, required and defaults in the help", () => {
  const lines = addFlags(new Command("test").configureHelp(helpStyle), options).helpInformation().split("\n");
  expect(lines.filter((line) => line.startsWith("  --")).map((line) => line.trim().replace(/ {2,}/, " · "))).toEqual([
    "--data_dir <folder> · images (required)",
    "--out <folder> · results (default: runs)",
    "--penalty <n> · reward (default: -5; -7 with R34_fMoW; 0 with other)",
    "--seed <n> · random numbers (default: 0)",
    "--query <conditions> · what counts",
    "--clip <n> · bound",
    "--fill <zero|lr> · dropped (default: zero)",
    "--order <name> · rate (constant, multistep, step; default: step)",
    "--resume · go on",
    "--no_cuda_graph · turn off: capture",
    "--no_curriculum · all at once",
  ]);
});

it("hands on numbers, texts and switches that were given, and no defaults of the schema", () => {
  expect(given()).toEqual({});
  const words = ["--data_dir", "7", "--penalty", "-1e-2", "--seed", "x", "--clip", "", "--fill", "red", "--resume"];
  expect(given(...words, "--no_cuda_graph")).toEqual({
    data_dir: "7",
    penalty: -0.01,
    seed: "x",
    clip: "",
    fill: "red",
    resume: true,
    cuda_graph: false,
  });
});

it("hands on all values of a flag that may be repeated, and the last of another", () => {
  const words = ["--query", "a<1", "--data_dir", "x", "--query", "b=2,c=3", "--data_dir", "y"];
  expect(given(...words)).toEqual({ query: "a<1,b=2,c=3", data_dir: "y" });
});
