/** The sides of the benchmark that Python runs, on some images; skipped where its Python lacks what they import. */
import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import sharp from "sharp";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { countLines, testsOf } from "../../bench/result.ts";

const python = process.env.PATCHDROP_BENCH_PYTHON ?? "python3";
const imports = (modules: string) => spawnSync(python, ["-c", `import ${modules}`]).status === 0;
const hasAirbench = imports("torch, torchvision, airbench");
const hasTorchvision = hasAirbench || imports("torch, torchvision");
const slow = { timeout: 240_000 };

/** Ten classes, as both networks have, each a shade of grey that its images vary a little. */
const imagesOf = { train: 5, test: 2 };
const classes = [...Array(10).keys()];
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "patchdrop-peers-"));
  for (const [split, count] of Object.entries(imagesOf)) {
    for (const label of classes) {
      const own = path.join(folder, "data", split, `class${label}`);
      mkdirSync(own, { recursive: true });
      for (let n = 0; n < count; n++) {
        const background = { r: 20 * label + n, g: 20 * label, b: 20 * label };
        const picture = sharp({ create: { width: 32, height: 32, channels: 3, background } });
        await picture.jpeg().toFile(path.join(own, `${n}.jpg`));
      }
    }
  }
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

function checked(out: string): void {
  const tests = testsOf(readFileSync(path.join(out, "metrics.jsonl"), "utf8"));
  expect(tests.length).toBeGreaterThan(0);
  for (const { epoch, accuracy } of tests) {
    const counted = countLines(readFileSync(path.join(out, `epoch-${epoch}.jsonl`), "utf8"));
    expect(counted.images).toBe(classes.length * imagesOf.test);
    expect(counted.accuracy).toBe(accuracy);
  }
}

describe.skipIf(!hasAirbench)(
  `airbench (${hasAirbench ? "is there" : "skipped: python lacks torch or airbench"})`,
  () => {
    it("trains on a CPU from class folders, and predicts as it says", slow, () => {
      const out = path.join(folder, "airbench");
      const flags = ["--data_dir", path.join(folder, "data"), "--out", out, "--batch_size", "16", "--epochs", "2"];
      execFileSync(python, ["bench/airbench-peer.py", ...flags]);
      checked(out);
    });
  },
);

describe.skipIf(!hasTorchvision)(
  `a policy (${hasTorchvision ? "torch is there" : "skipped: python lacks torch"})`,
  () => {
    it("is pretrained beside a classifier of this program, and its masks are written down", slow, () => {
      const out = path.join(folder, "policy");
      const flags = ["--data_dir", path.join(folder, "data"), "--out", out, "--batch_size", "16", "--epochs", "1"];
      execFileSync(python, [
        "bench/policy-peer.py",
        "--config",
        "best-fp32",
        "--classifier",
        "models/cifar10",
        ...flags,
      ]);
      checked(out);
      expect(readFileSync(path.join(out, "epoch-1.jsonl"), "utf8")).toMatch(/"mask": "[01]{16}"/);
    });
  },
);
