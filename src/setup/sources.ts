/** The ways to libtorch other than pip: PyTorch's own archive, a zip file or folder at hand, an address. */
import { cp, rm, stat } from "node:fs/promises";
import path from "node:path";
import { fault } from "../errors.ts";
import { inspectLibtorch } from "../native/inspect.ts";
import { downloadFile } from "../utils/download.ts";
import type { OnProgress } from "./pip.ts";
import { torchChecksums } from "./torch-checksums.ts";
import { unzip } from "./unzip.ts";

/** The CUDA version for which PyTorch publishes the archive that is fetched. */
const archiveCuda = "cu130";

/**
 * Address of PyTorch's official LibTorch archive for this machine.
 * @throws kind "input" where there is none.
 */
export function archiveUrl(version: string, cuda: boolean, platform = `${process.platform}-${process.arch}`): string {
  const base = "https://download.pytorch.org/libtorch";
  if (platform === "linux-x64") {
    const kind = cuda ? archiveCuda : "cpu";
    return `${base}/${kind}/libtorch-shared-with-deps-${version}%2B${kind}.zip`;
  }
  if (platform === "darwin-arm64" && !cuda) return `${base}/cpu/libtorch-macos-arm64-${version}.zip`;
  throw fault("input", {
    where: "--from archive",
    rule: "PyTorch publishes archives for linux-x64 and (CPU only) darwin-arm64",
    got: `${platform}${cuda ? " with CUDA" : ""}`,
    next: "use --from pip, or give a PyTorch of your own with --torch PATH",
  });
}

function isAddress(from: string): boolean {
  return /^https?:\/\//i.test(from);
}

/** What distinguishes sources: an address, or a path with size and time. Kept with what was made from it. */
export async function originOf(from: string): Promise<string> {
  if (isAddress(from)) return from;
  const found = await stat(from).catch((error: NodeJS.ErrnoException) => {
    const rule = "must be `pip`, `archive`, a zip file, a folder, or an http(s) address";
    throw fault("input", { where: "--from", rule, got: `${from} (${error.code})` }, error);
  });
  return `${path.resolve(from)} ${found.size} ${found.mtimeMs}`;
}

/** Brings what `from` names (zip file, folder, address) into the folder `target`, unpacked. */
export async function bringFrom(from: string, target: string, onProgress: OnProgress): Promise<void> {
  if (isAddress(from)) return bringFromAddress(from, target, onProgress);
  if ((await stat(from)).isDirectory()) return copyFolder(from, target, onProgress);
  return unzip(from, target, { onProgress: (done, total) => onProgress({ step: "unpacking", done, total }) });
}

async function bringFromAddress(url: string, target: string, onProgress: OnProgress): Promise<void> {
  // Next to the target, not in it: a download that breaks off is continued by the next run.
  const file = path.join(path.dirname(target), `.download-${Buffer.from(url).toString("base64url").slice(-80)}.zip`);
  const name = decodeURIComponent(path.basename(new URL(url).pathname));
  const step = `fetching ${name}`;
  await downloadFile({
    url,
    path: file,
    sha256: torchChecksums[name],
    timeoutMs: 60_000,
    onProgress: ({ received, total }) => onProgress({ step, done: received, total }),
  });
  try {
    await unzip(file, target, { onProgress: (done, total) => onProgress({ step: "unpacking", done, total }) });
  } finally {
    // If it were kept, a broken archive would be taken for a finished download.
    await rm(file, { force: true });
  }
}

/** Copies a `torch` or `libtorch` folder, and the `nvidia` packages next to it, to which its libraries point. */
async function copyFolder(from: string, target: string, onProgress: OnProgress): Promise<void> {
  const { folder, why } = inspectLibtorch(path.resolve(from));
  if (folder === undefined) throw fault("input", { where: "--from", rule: `${from} ${why}` });
  onProgress({ step: `copying ${folder.root}` });
  const options = { recursive: true, dereference: true };
  await cp(folder.root, path.join(target, path.basename(folder.root)), options);
  const nvidia = path.join(path.dirname(folder.root), "nvidia");
  const hasNvidia = (await stat(nvidia).catch(() => undefined))?.isDirectory() ?? false;
  if (hasNvidia) await cp(nvidia, path.join(target, "nvidia"), options);
}
