/**
 * Writes what the flags of all commands are made of into the build, from its schemas and registries, so that `--help` and
 * completion need not load them. `npm run build` runs it: `node scripts/write-flags.mjs [FOLDER OF THE BUILD]`.
 */
import { writeFileSync } from "node:fs";
import path from "node:path";
import process from "node:process";
import { fileURLToPath, pathToFileURL } from "node:url";

const build = path.resolve(process.argv[2] ?? fileURLToPath(new URL("../dist", import.meta.url)));
const { describeFlags } = await import(pathToFileURL(path.join(build, "cli", "describe-flags.js")).href);
writeFileSync(path.join(build, "cli", "flags.json"), JSON.stringify(await describeFlags()));
