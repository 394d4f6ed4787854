/**
 * Fetches the official CIFAR archives. Source of addresses and checksums: https://www.cs.toronto.edu/~kriz/cifar.html
 */

import { join } from "node:path";
import { type DownloadProgress, downloadFile } from "../utils/download.ts";
import { type CifarName, cifarLayouts } from "./cifar-files.ts";

const official = {
  cifar10: {
    url: "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
    md5: "c32a1d4ab5d03f1284b67883e8d87530",
    urlVariable: "PATCHDROP_CIFAR10_URL",
  },
  cifar100: {
    url: "https://www.cs.toronto.edu/~kriz/cifar-100-binary.tar.gz",
    md5: "03b5dce01913d631647c71ecec9e9cb8",
    urlVariable: "PATCHDROP_CIFAR100_URL",
  },
} as const;

export interface CifarDownloadOptions {
  /** A mirror; by default `$PATCHDROP_CIFAR10_URL` or `$PATCHDROP_CIFAR100_URL`, else the official address. */
  url?: string;
  onProgress?: (progress: DownloadProgress) => void;
}

/**
 * Downloads the binary archive into `targetDir`, where {@link openCifar} finds it. The checksum is the official one,
 * wherever the bytes come from.
 * @returns path of the archive
 * @throws as {@link downloadFile}
 */
export async function downloadCifar(
  name: CifarName,
  targetDir: string,
  { url, onProgress }: CifarDownloadOptions = {},
): Promise<string> {
  const { urlVariable, md5, url: officialUrl } = official[name];
  const { archive } = cifarLayouts.find((layout) => layout.name === name && layout.format === "binary")!;
  const path = join(targetDir, archive);
  await downloadFile({ url: url ?? process.env[urlVariable] ?? officialUrl, path, md5, onProgress });
  return path;
}
