/**
 * What this machine can do at most: floating-point operations a second in the product of two large square matrices, the
 * best of ten.
 *
 *     npx tsx bench/peak.ts --precision bf16 --threads 2
 */
import { parseArgs } from "node:util";
import { z } from "zod";
import * as networkOps from "../src/tensor/network-ops.ts";
import { scope } from "../src/tensor/scope.ts";
import { startLibtorch } from "../src/tensor/start.ts";
import { full } from "../src/tensor/tensor.ts";

const side = 2048;
const times = 10;

const { values } = parseArgs({ options: { precision: { type: "string" }, threads: { type: "string" } } });
const { precision, threads } = z
  .object({ precision: z.enum(["fp32", "bf16"]), threads: z.coerce.number().int().min(1) })
  .parse(values);
startLibtorch({ threads, device: "cpu", torch: undefined });
const dtype = precision === "bf16" ? "bfloat16" : "float32";
const [matrix, none] = [full([side, side], 0.5, dtype), full([side], 0, dtype)];

function seconds(): number {
  const began = performance.now();
  scope(() => networkOps.linear(matrix, matrix, none));
  return (performance.now() - began) / 1000;
}

seconds();
const fastest = Math.min(...Array.from({ length: times }, seconds));
process.stdout.write(`${JSON.stringify({ precision, threads, gflops: (2 * side ** 3) / fastest / 1e9 })}\n`);
