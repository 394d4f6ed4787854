/** `node --import` of this file writes the address of every ES module that is loaded then into the file $MODULE_LOG. */
import { appendFileSync } from "node:fs";
import { register } from "node:module";
import process from "node:process";
import { isMainThread } from "node:worker_threads";

// Node loads the file once more, as the hook, in a thread of its own.
if (isMainThread) register(import.meta.url);

export function load(url, context, next) {
  appendFileSync(process.env.MODULE_LOG, `${url}\n`);
  return next(url, context);
}
