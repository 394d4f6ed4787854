/** What a build writes of all flags: what schemas say of them, and the names that models and checkpoints go by. */
import { networkNames } from "../checkpoints/foreign-checkpoint.ts";
import { packagedPaths } from "../checkpoints/packaged.ts";
import { modelNames } from "../models/registry.ts";
import { describeCommands } from "../options/command-schemas.ts";

/** The names that a placeholder such as the `model` of `--model <model>` can stand for, for completion. */
export type KnownValues = Readonly<Record<string, readonly string[]>>;

export async function describeFlags() {
  // `convert` calls the checkpoint that it reads IN.
  const values: KnownValues = { model: modelNames, run: packagedPaths, in: packagedPaths, network: networkNames };
  return { ...(await describeCommands()), values };
}
