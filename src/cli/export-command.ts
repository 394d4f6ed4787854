/** `patchdrop export`: a run's networks as ONNX models. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import { addFlags, type CommandFlags, type Flags } from "./flags.ts";

const summary = "Write a run's networks as ONNX models, after comparing each with libtorch.";

const about = [
  summary,
  "",
  [
    "The folder gets policy.onnx (normalized image → a probability for each patch), classifier.onnx (normalized image with",
    "patches dropped → logits) and, for a run with two streams, lr_classifier.onnx (normalized image → logits). All take the",
    "high-resolution image: the low resolution is made inside. The policy of a run that decides in rounds takes five channels: the",
    "image as far as it is there, which patches are, and the classifier's doubt. The files' metadata say sizes,",
    "normalization, classes and what the five channels are. Needs the package onnxruntime-web (npm install onnxruntime-web).",
  ].join(" "),
].join("\n");

const examples = [
  "patchdrop export --load runs/finetune --out onnx/finetune",
  "patchdrop export --load runs/two --out onnx/two --batch_size 1 --data_dir data/cifar10",
];

/** The subcommand; what it needs is loaded when it runs. */
export function exportCommand(allFlags: CommandFlags): Command {
  const command = new Command("export").summary(summary).description(about);
  addFlags(command, allFlags.export);
  return addExamples(command, examples).action(async (flags: Flags) => {
    const [{ parseWith }, { exportSchema }, { assertOnnxRuntime }] = await Promise.all([
      import("../options/parse.ts"),
      import("../options/export-options.ts"),
      import("../inference/onnx-runtime.ts"),
    ]);
    const options = parseWith(exportSchema, flags, "export");
    assertOnnxRuntime();
    const { exportRun } = await import("../export/export-run.ts");
    const { checkpoint, images, networks, warning } = await exportRun(options);
    if (warning !== undefined) process.stderr.write(`${checkpoint}: ${warning}\n`);
    const lines = networks.map(
      ({ file, network, outputs, difference }) =>
        `  ${file}: ${network}, ${outputs} probabilities per image, at most ${difference.toExponential(1)} from libtorch's\n`,
    );
    process.stdout.write(
      `${options.out}\n${checkpoint}, compared on ${images.count} images (${images.of})\n${lines.join("")}`,
    );
  });
}
