/**
 * The trained checkpoints that come with the program, in the folder `models/` of its package, each with a model card. A user
 * names one as `patchdrop:NAME` wherever a checkpoint can be given. scripts/make-packaged-model.ts makes them.
 */
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fault } from "../errors.ts";

/** What each is, in a line. */
export const packagedModels = {
  cifar10: "CIFAR-10 in up to four rounds: 82.5 % with 6.0 of 16 patches, 83.8 % with 8.0, 84.5 % with all",
  aid: "aerial scenes (AID, 30 classes) in up to four rounds: 94.5 % with 4.2 of 16 patches, 95.0 % with all",
} as const;

export type PackagedName = keyof typeof packagedModels;
export const packagedNames = Object.keys(packagedModels) as readonly PackagedName[];

const scheme = "patchdrop:";
/** As a user names them. */
export const packagedPaths: readonly string[] = packagedNames.map((name) => scheme + name);

/** How each is named, what it is, and where its model card lies. */
export function packagedLines(): string[] {
  return packagedNames.map((name) => {
    return `${scheme}${name}\n  ${packagedModels[name]}\n  ${join(packagedFolder(name), "README.md")}\n`;
  });
}

const folder = fileURLToPath(new URL("../../models/", import.meta.url));

/** Whether a checkpoint is named as one that comes with the program. */
export function isPackaged(path: string): boolean {
  return path.startsWith(scheme);
}

/** Where the checkpoint of that name lies. */
export function packagedFolder(name: PackagedName): string {
  return join(folder, name);
}

/** The path that a user means: of `patchdrop:NAME` where it lies. @throws input: a name that there is not; usage: no text */
export function placeOf(path: string): string {
  if (typeof path !== "string" || path === "") {
    throw fault("usage", { where: "checkpoint", rule: "must be a path, or patchdrop:NAME", got: path || "nothing" });
  }
  if (!isPackaged(path)) return path;
  const name = path.slice(scheme.length);
  const known = packagedNames.find((one) => one === name);
  if (known !== undefined) return packagedFolder(known);
  throw fault("input", {
    where: path,
    rule: `must be ${packagedPaths.join(" or ")}`,
    next: "see patchdrop models, or give a run folder or a checkpoint",
  });
}
