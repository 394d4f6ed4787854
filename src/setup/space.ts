/** Checks for free space before a large download or unpacking begins, rather than running out in the middle. */
import { statfs } from "node:fs/promises";
import { fault } from "../errors.ts";

/** @throws kind "system" when the file system of `folder` has less than `bytes` free. */
export async function requireSpace(folder: string, bytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(folder);
  const free = bavail * bsize;
  if (free >= bytes) return;
  throw fault("system", {
    where: folder,
    rule: `must have ${formatBytes(bytes)} free`,
    got: formatBytes(free),
    next: "free some space, or set PATCHDROP_CACHE to a folder on another disk",
  });
}

/** Bytes in decimal units: "1.3 GB". */
function formatBytes(bytes: number): string {
  const units = ["B", "kB", "MB", "GB", "TB"] as const;
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, bytes)) / 3));
  return `${(bytes / 1000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`;
}
