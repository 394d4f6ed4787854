/** How a process gets to its group. */
import { fault } from "../errors.ts";
import { type Launch, launchOf, storeOf } from "./launch.ts";
import { MpiGroup } from "./mpi-group.ts";
import { alone, type ProcessGroup } from "./process-group.ts";
import { RankGroup } from "./rank-group.ts";
import { StoreMeeting } from "./store-meeting.ts";

/** The group that this process belongs to, and how it goes. */
export interface Joined {
  readonly group: ProcessGroup;
  /** Ends the part of this rank, when all ranks have done theirs. */
  leave(): void;
  /** Ends all ranks with an exit code. */
  abort(code: number): void;
}

const pmix = "give it --mpi=pmix";

const joinedAlone: Joined = { group: alone, leave: () => undefined, abort: () => undefined };

/**
 * Joins the ranks that were started with this one.
 * @throws usage: variables of a launcher that contradict themselves, or are not whole; input: no Open MPI; system: a rank that does not come
 */
export function join(launch: Launch | undefined = launchOf(), environment = process.env): Joined {
  if (launch === undefined) return joinedAlone;
  const { by, rank, size } = launch;
  if (by === "torchrun") {
    const { address, job } = storeOf(environment);
    return joined(new RankGroup({ launch, meeting: new StoreMeeting(address, { job, rank, size }), onCpu: undefined }));
  }
  if (by === "srun" && environment.PMIX_RANK === undefined) {
    const rule = "must be told to start MPI processes, which it does by PMIx";
    throw fault("usage", { where: by, rule, got: `${size} ranks without`, next: pmix });
  }
  const mpi = new MpiGroup();
  if (mpi.rank === rank && mpi.size === size) return joined(new RankGroup({ launch, meeting: mpi, onCpu: mpi }));
  const got = `rank ${mpi.rank} of ${mpi.size} instead of rank ${rank} of ${size}`;
  throw fault("usage", {
    where: "MPI",
    rule: `must be the one that ${by} belongs to`,
    got,
    next: by === "srun" ? `${pmix}, and unset PMIX_RANK before it` : "start with mpirun of Open MPI",
  });
}

function joined(group: RankGroup): Joined {
  return { group, leave: () => group.leave(), abort: (code) => group.abort(code) };
}
