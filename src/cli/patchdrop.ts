#!/usr/bin/env node
/**
 * Where the program starts: loads the commands (main.ts), so that a machine that cannot even do that, with too few open files
 * for instance, says so in one line.
 */
import { fail } from "./failure.ts";

// What runs beside a command, and fails where no command hears of it.
process.on("uncaughtException", fail);
await import("./main.ts").catch(fail);
