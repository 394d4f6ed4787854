/** What starts many processes, where it is here. */
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Why a program starts nothing here; undefined where it does. */
const missing = (name: string) =>
  (process.env.PATH ?? "").split(delimiter).some((folder) => existsSync(join(folder, name)))
    ? undefined
    : `there is no ${name} here`;

export const noMpirun = missing("mpirun");
export const noTorchrun = missing("torchrun");
