/** A thread without a build, as tests and benchmarks run it: it has to register the compiler for itself. Its last argument names the file. */

import process from "node:process";
import { register } from "tsx/esm/api";

register();
await import(process.argv.at(-1));
