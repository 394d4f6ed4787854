/** decode-worker.ts without a build, as tests and benchmarks run it: a thread has to register the compiler for itself. */

import { register } from "tsx/esm/api";

register();
await import("./decode-worker.ts");
