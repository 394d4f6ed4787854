#!/usr/bin/env node
/**
 * Where the program starts: loads the commands (main.ts), so that a machine that cannot even do that, with too few open files
 * for instance, says so in one line.
 */
import { constants } from "node:os";
import { fail } from "./failure.ts";

// Node would open its debugger, to whoever is on this machine: from its start on no more than it takes to come here. A command
// that can stop in an orderly way takes this over.
process.on("SIGUSR1", () => process.exit(128 + constants.signals.SIGUSR1));
// What runs beside a command, and fails where no command hears of it.
process.on("uncaughtException", fail);
await import("./main.ts").catch(fail);
