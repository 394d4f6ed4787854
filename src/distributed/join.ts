/** How a process gets to its group. */
import { fault } from "../errors.ts";
import { type Launch, launchOf } from "./launch.ts";
import { MpiGroup } from "./mpi-group.ts";
import { alone, type ProcessGroup } from "./process-group.ts";

/** The group that this process belongs to, and how it goes. */
export interface Joined {
  readonly group: ProcessGroup;
  /** Ends the part of this rank, when all ranks have done theirs. */
  leave(): void;
  /** Ends all ranks with an exit code. */
  abort(code: number): void;
}

const joinedAlone: Joined = { group: alone, leave: () => undefined, abort: () => undefined };

/**
 * Joins the ranks that were started with this one.
 * @throws usage: a launcher that is not supported, variables of one that contradict themselves; input: no Open MPI
 */
export function join(launch: Launch | undefined = launchOf(), environment = process.env): Joined {
  if (launch === undefined) return joinedAlone;
  const { by, rank, size } = launch;
  if (by === "torchrun") {
    const rule = "ranks on CPUs exchange numbers by MPI, which torchrun does not start";
    throw fault("usage", { where: by, rule, got: `${size} ranks`, next: `start with mpirun -n ${size} patchdrop …` });
  }
  if (by === "srun" && environment.PMIX_RANK === undefined) {
    const rule = "must be told to start MPI processes, which it does by PMIx";
    throw fault("usage", { where: by, rule, got: `${size} ranks without`, next: "give it --mpi=pmix" });
  }
  const group = new MpiGroup();
  if (group.rank === rank && group.size === size) {
    return { group, leave: () => group.leave(), abort: (code) => group.abort(code) };
  }
  const got = `rank ${group.rank} of ${group.size} instead of rank ${rank} of ${size}`;
  throw fault("usage", {
    where: "MPI",
    rule: `must be the one that ${by} belongs to`,
    got,
    next: "start with mpirun of Open MPI",
  });
}
