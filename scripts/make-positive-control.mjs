/**
 * Makes data on which looking must pay: class folders of CIFAR-10's images, each at a random place in a larger textured scene
 * (src/data/positive-control.ts; what it is for: docs/headroom.md). From the build (npm run build):
 *
 *     node scripts/make-positive-control.mjs CIFAR_FOLDER OUT [--train 20000] [--test 4000] [--seed 1]
 *
 * CIFAR_FOLDER holds CIFAR-10 in any of its layouts, or class folders. The same seed makes the same pixels.
 */
import { parseArgs } from "node:util";
import { fail } from "../dist/cli/failure.js";
import { makePositiveControl } from "../dist/data/positive-control.js";
import { fault } from "../dist/errors.js";

try {
  const { input, output, ...numbers } = given();
  await makePositiveControl({ input, output, ...numbers, say: (line) => process.stderr.write(`${line}\n`) });
  process.stdout.write(`${output}: ${numbers.train} + ${numbers.test} scenes\n`);
} catch (error) {
  fail(error);
}

function given() {
  const number = (preset) => ({ type: "string", default: preset });
  const options = { train: number("20000"), test: number("4000"), seed: number("1") };
  const { values, positionals } = parsed({ options, allowPositionals: true });
  if (positionals.length !== 2) throw wrongUse("must be given two folders", positionals.length);
  const [input, output] = positionals;
  return { input, output, train: Number(values.train), test: Number(values.test), seed: Number(values.seed) };
}

function parsed(config) {
  try {
    return parseArgs(config);
  } catch (error) {
    throw wrongUse(`must be given options that it knows (${error.message})`);
  }
}

function wrongUse(rule, got) {
  const next = "node scripts/make-positive-control.mjs CIFAR_FOLDER OUT [--train 20000] [--test 4000] [--seed 1]";
  return fault("usage", { where: "make-positive-control", rule, got, next });
}
