/** Threads that run a file of the program. */
import { extname } from "node:path";
import { type ResourceLimits, type TransferListItem, Worker } from "node:worker_threads";

/**
 * @param name of the file, without its extension
 * @param beside the URL of a file of the same folder
 * @param limits of its memory, and what of the data the thread takes over
 */
export function startThread(
  name: string,
  beside: string,
  workerData: unknown,
  {
    transferList = [],
    ...resourceLimits
  }: ResourceLimits & { readonly transferList?: readonly TransferListItem[] } = {},
): Worker {
  const extension = extname(beside);
  const file = new URL(name + extension, beside);
  const options = { workerData, transferList: [...transferList], resourceLimits };
  if (extension === ".js") return new Worker(file, options);
  // Without a build, one that first registers the compiler.
  return new Worker(new URL("thread-source.mjs", import.meta.url), { ...options, argv: [file.href] });
}
