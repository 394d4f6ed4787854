/** Errors of the operating system, such as a full disk or too many open files: what to do about each, and as faults. */
import { fault } from "../errors.ts";

const more = "free some space and run it again; continue a training with --resume";
const allowed = "give a writable folder";

/** By the codes that the system's own message begins with, as in "EROFS: read-only file system". */
const remedies: Readonly<Record<string, string | undefined>> = {
  ENOSPC: more,
  EDQUOT: more,
  EFBIG: "raise the limit on file sizes (ulimit -f) and run it again; continue a training with --resume",
  EACCES: allowed,
  EPERM: allowed,
  EROFS: allowed,
  EMFILE: "raise the limit on open files (ulimit -n 1024) and run it again; continue a training with --resume",
  ENFILE: "close other programs, or raise the system's limit on open files (fs.file-max)",
  ENOMEM: "free some memory, or raise the limit on it (ulimit -v)",
  ENOTDIR: "a name on the way to it is a file: give another folder",
  ENAMETOOLONG: "give a shorter name",
  ELOOP: "the links lead round in a circle: give the path of the file or folder itself",
};

/** What to do about an error of the system, in words for its user. */
export function remedyFor(error: unknown): string {
  return remedies[String((error as { code?: unknown } | null)?.code)] ?? "check the disk and the path";
}

/** An error of the system that nobody foresaw, as one of kind "system"; any other error as it is. */
export function withoutSystemErrors(error: unknown): unknown {
  if (!(error instanceof Error)) return error;
  // Of a file that it may not open, Node's loader says at times that there is none.
  if ("code" in error && error.code === "ERR_MODULE_NOT_FOUND") {
    const next = "raise the limit on open files (ulimit -n 1024) if it is low, or install the program anew";
    return fault(
      "system",
      { where: "patchdrop", rule: `must be installed as a whole (${error.message})`, next },
      error,
    );
  }
  if (!("syscall" in error)) return error;
  const where = "path" in error ? String(error.path) : "patchdrop";
  return fault("system", { where, rule: `could not be used (${error.message})`, next: remedyFor(error) }, error);
}
