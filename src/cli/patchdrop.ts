#!/usr/bin/env node
/**
 * Where the program starts: loads the commands (main.ts), so that a machine that cannot even do that, with too few open files
 * for instance, says so in one line.
 */
import inspector from "node:inspector";
import { constants } from "node:os";
import { fail } from "./failure.ts";

/** Node would open its debugger, to whoever is on this machine. A command that can stop in an orderly way takes this over. */
const end = () => process.exit(128 + constants.signals.SIGUSR1);
process.on("SIGUSR1", end);
const isAskedFor = [...process.execArgv, process.env.NODE_OPTIONS].some((words) => words?.includes("--inspect"));
/** A signal that came before this line has opened it; what ends the process closes it. */
const endIfOpened = () => {
  if (inspector.url() !== undefined && !isAskedFor) end();
};
endIfOpened();
setImmediate(endIfOpened);
// What runs beside a command, and fails where no command hears of it.
process.on("uncaughtException", fail);
await import("./main.ts").catch(fail);
