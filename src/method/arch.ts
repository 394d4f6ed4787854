/** Classifiers that may take the place of a model's own, by name. Nothing of Node: a browser page shares it. */

/** As the option `--arch` has them, and every description of a run. */
export const archNames = ["speedrun", "patches"] as const;
export type Arch = (typeof archNames)[number];

/** Whether the classifier works on the patches that are there, and so is told which these are. */
export function seesMask(arch: Arch | undefined): boolean {
  return arch === "patches";
}

/** Channels of what such a classifier sees: the image's, and a plane of ones where patches are there. */
export function acquiredChannels(channels: number, arch: Arch | undefined): number {
  return channels + (seesMask(arch) ? 1 : 0);
}
