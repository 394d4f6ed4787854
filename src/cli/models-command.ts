/** `patchdrop models`: what `--model` can name. */
import { Command } from "commander";
import { addExamples } from "./command-examples.ts";
import type { Flags } from "./flags.ts";

export function modelsCommand(): Command {
  const command = new Command("models")
    .description("List the models with their sizes, parameters and multiply-adds.")
    .option("--json", "print JSON");
  return addExamples(command, ["patchdrop models", "patchdrop models --json"]).action(
    async ({ json = false }: Flags) => {
      const { describeModels } = await import("../models/describe.ts");
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
    },
  );
}
