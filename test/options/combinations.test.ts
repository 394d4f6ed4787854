/** Options that do not go together, and those beside them that do (docs/budget.md for eval; --help of predict). */
import { describe, expect, it } from "vitest";
import type { CommandName } from "../../src/options/command-schemas.ts";
import { parsed, refusal } from "./commands.ts";

type Given = Readonly<Record<string, unknown>>;

const withPatches = "can't be combined with --target_patches";
const calibrates = `${withPatches} or --target_accuracy, which calibrate`;

describe("refused together", () => {
  it.each<[CommandName, Given, string]>([
    ["eval", { target_patches: 0, target_accuracy: 0 }, `--target_accuracy: ${withPatches}, got 0`],
    ["eval", { target_patches: 6, policy: "topk" }, `--policy: ${calibrates} a threshold, got topk`],
    ["eval", { target_accuracy: 0.9, policy: "calibrated" }, `--policy: ${calibrates} a threshold, got calibrated`],
    ["eval", { target_patches: 0, threshold: 0 }, `--threshold: ${calibrates} it, got 0`],
    ["eval", { target_accuracy: 0, threshold: 0.5 }, `--threshold: ${calibrates} it, got 0.5`],
    ["eval", { sweep: true, policy: "sample" }, "--policy: must be threshold or topk with --sweep, got sample"],
    ["eval", { chart: "sweep.svg" }, "--chart: needs --sweep, whose chart it is, got sweep.svg"],
    ["run", { seed: 3, seeds: "1,2" }, "--seeds: can't be combined with --seed, got 1,2"],
    ["predict", { resume: true }, "--resume: needs --out, the file to continue"],
    ["predict", { composite: "nir" }, "--composite: needs --overlay or --masked, the pictures that it is for, got nir"],
    ["predict", { engine: "onnx", precision: "bf16" }, "--precision: must be fp32 with --engine onnx, got bf16"],
    ["predict", { engine: "onnx", device: "cuda" }, "--device: must be cpu with --engine onnx, got cuda"],
  ])("by %s: %j", async (command, given, message) => {
    expect(await refusal(() => parsed(command, given))).toBe(`usage: ${message}; see \`patchdrop ${command} --help\``);
  });
});

describe("taken together", () => {
  it.each<[CommandName, Given]>([
    ["eval", { target_patches: 6, policy: "threshold", budget: 8 }],
    ["eval", { target_accuracy: 0.9, sweep: true, chart: "sweep.svg" }],
    ["eval", { policy: "calibrated" }],
    ["eval", { policy: "sample", budget: 3 }],
    ["eval", { threshold: 0.3 }],
    ["eval", { sweep: true, policy: "topk", budget: 4 }],
    ["predict", { resume: true, out: "lines.csv", format: "csv" }],
    ["predict", { engine: "onnx", precision: "fp32", device: "cpu" }],
    ["predict", { engine: "onnx" }],
    ["predict", { engine: "libtorch", precision: "bf16", device: "cuda:1" }],
  ])("by %s: %j", async (command, given) => {
    expect(await parsed(command, given)).toMatchObject(given);
  });
});

it("eval and acquire have parsers of their own", async () => {
  const { parseEvalOptions } = await import("../../src/options/eval-options.ts");
  const { parseAcquireOptions } = await import("../../src/options/acquire-options.ts");
  expect(parseEvalOptions({ load: "run" })).toMatchObject({ load: "run", split: "test", sweep: false });
  expect(parseAcquireOptions({ load: "run", out: "results" })).toMatchObject({ top: 5, allow_full_file: false });
  expect(await refusal(() => parseEvalOptions({}))).toBe("usage: --load: must be given; see `patchdrop eval --help`");
  expect(await refusal(() => parseAcquireOptions({ load: "run" }))).toBe(
    "usage: --out: must be given; see `patchdrop acquire --help`",
  );
});

it("acquire takes one budget, and money only with prices", async () => {
  const { parseAcquireOptions } = await import("../../src/options/acquire-options.ts");
  const given = (options: object) => refusal(() => parseAcquireOptions({ load: "runs/a", out: "b", ...options }));
  expect(await given({ budget: 4, budget_bytes: 5 })).toMatch(
    /^usage: --budget: must be the only budget: leave it or --budget_bytes out, got 4/,
  );
  expect(await given({ budget_bytes: 4, budget_seconds: 5 })).toMatch(
    /^usage: --budget_bytes: must be the only budget: leave it or --budget_seconds out/,
  );
  expect(await given({ budget_money: 4 })).toMatch(/^usage: --budget_money: needs --egress_per_gb or --price_per_km2/);
  expect(parseAcquireOptions({ load: "runs/a", out: "b", budget_money: 4, egress_per_gb: 0.1 })).toMatchObject({
    budget_money: 4,
  });
});
