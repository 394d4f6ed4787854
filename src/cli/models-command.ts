/** `patchdrop models`: what `--model` can name, and the trained weights that come with the program. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import type { Flags } from "./flags.ts";

const summary = "List the models with their sizes, and the trained weights that come with the program.";

const about = [
  summary,
  "",
  [
    "Models have parameters and multiply-adds beside them; weights their test accuracy and the folder with their model card. A name",
    "such as patchdrop:cifar10 can be given wherever a run folder or a checkpoint can.",
  ].join(" "),
].join("\n");

const examples = ["patchdrop models", "patchdrop models --json", "patchdrop predict --load patchdrop:aid picture.jpg"];

export function modelsCommand(): Command {
  const command = new Command("models")
    .summary(summary)
    .description(about)
    .option("--json", "print the models, without trained weights, as JSON");
  return addExamples(command, examples).action(async ({ json = false }: Flags) => {
    const [{ describeModels }, { packagedLines }] = await Promise.all([
      import("../models/describe.ts"),
      import("../checkpoints/packaged.ts"),
    ]);
    const described = describeModels();
    if (json) {
      process.stdout.write(`${JSON.stringify(described, null, 2)}\n`);
      return;
    }
    for (const { name, variant, description, imageSize, patchSize, lowSize, classifier, policy } of described) {
      const size = ({ parameters, multiplyAdds }: typeof policy) =>
        `${parameters.toLocaleString("en")} parameters, ${(multiplyAdds / 1e6).toFixed(1)} M multiply-adds`;
      process.stdout.write(
        `${name} --variant ${variant}\n  ${description}\n  image ${imageSize}, patch ${patchSize}, low resolution ${lowSize}\n` +
          `  classifier: ${size(classifier)}\n  policy:     ${size(policy)}\n`,
      );
    }
    process.stdout.write(`
Trained weights, for --load and its like:
${packagedLines().join("")}`);
  });
}
