/**
 * What has started this process, as its environment says: how many there are, and which of them this one is.
 *
 * Sources: mpirun(1) of Open MPI, "Exported Environment Variables"; srun(1), "OUTPUT ENVIRONMENT VARIABLES"; PyTorch's
 * documentation of torchrun, "Environment Variables".
 */
import { type Fault, fault } from "../errors.ts";
import type { Environment } from "../utils/cache-folder.ts";
import type { StoreAddress } from "./tcp-store.ts";

export interface Launch {
  readonly by: "mpirun" | "srun" | "torchrun";
  readonly rank: number;
  readonly size: number;
  /** Of the ranks on this machine. */
  readonly localRank: number;
}

/** The names under which a launcher says rank, size and local rank. */
const launchers = [
  { by: "mpirun", names: ["OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK"] },
  { by: "srun", names: ["SLURM_PROCID", "SLURM_STEP_NUM_TASKS", "SLURM_LOCALID"] },
  { by: "torchrun", names: ["RANK", "WORLD_SIZE", "LOCAL_RANK"] },
] as const;

/**
 * Who has started this process with others; undefined for one that is alone. The script of a Slurm job has a rank too, and is
 * alone: only a step of a job says how many tasks it has.
 * @throws usage: variables that are missing, contradict themselves, or are of two launchers with different ranks
 */
export function launchOf(environment: Environment = process.env): Launch | undefined {
  const found = launchers.flatMap(({ by, names }) => {
    const launch = read(by, names, environment);
    return launch === undefined ? [] : [launch];
  });
  // srun may have started torchrun once a machine; then it is torchrun's ranks that count.
  const inner = environment.TORCHELASTIC_RUN_ID === undefined ? undefined : found.find(({ by }) => by === "torchrun");
  if (inner !== undefined) return inner;
  const [first, other] = found;
  if (first === undefined) return undefined;
  if (other !== undefined && (other.rank !== first.rank || other.size !== first.size)) {
    const said = ({ by, rank, size }: Launch) => `rank ${rank} of ${size} (${by})`;
    const rule = "must come from one launcher";
    const got = `${said(first)} and ${said(other)}`;
    throw fault("usage", {
      where: "environment",
      rule,
      got,
      next: "start with one of them, and unset what the other left",
    });
  }
  return first;
}

/** Whether there is a rank before this one, by the word of any launcher, be it wrong in the rest: for who is to speak of an error. */
export function isLaterRank(environment: Environment = process.env): boolean {
  return launchers.some(({ names: [rank, size] }) => isMany(environment[size]) && Number(environment[rank]) > 0);
}

/** Without a size, a rank is what Slurm tells a script, or a user's own variable of such a name. */
function isMany(size: string | undefined): boolean {
  return size !== undefined && size !== "" && size !== "1";
}

/**
 * Where the ranks of torchrun meet, and what it calls their job. Only a store that torchrun's own agent serves can be used here.
 * @throws usage: variables that are missing or wrong, all together
 */
export function storeOf(environment: Environment): { address: StoreAddress; job: string } {
  const next = "start with torchrun, which sets it";
  const faults: Fault[] = [];
  const { MASTER_ADDR: host = "", MASTER_PORT: port, TORCHELASTIC_USE_AGENT_STORE: served } = environment;
  const { TORCHELASTIC_RUN_ID: job = "" } = environment;
  if (host === "")
    faults.push({ where: "MASTER_ADDR", rule: "must be a host's name or address", got: "nothing", next });
  if (port === undefined || !/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    faults.push({ where: "MASTER_PORT", rule: "must be a port from 1 to 65535", got: port ?? "nothing", next });
  }
  if (served !== "True") {
    const rule = "must be True, since the store of torchrun's own agent is what ranks meet by";
    const cure = "unset TORCH_DISABLE_SHARE_RDZV_TCP_STORE, and start with torchrun of PyTorch 2.4 or newer";
    faults.push({ where: "TORCHELASTIC_USE_AGENT_STORE", rule, got: served ?? "nothing", next: cure });
  }
  if (job === "") faults.push({ where: "TORCHELASTIC_RUN_ID", rule: "must be the job's name", got: "nothing", next });
  if (faults.length > 0) throw fault("usage", faults);
  return { address: { host, port: Number(port) }, job: `patchdrop/${job}` };
}

function read(
  by: Launch["by"],
  names: readonly [string, string, string],
  environment: Environment,
): Launch | undefined {
  const [, sizeName] = names;
  if (!isMany(environment[sizeName])) return undefined;
  const faults: Fault[] = [];
  const [rank, size, localRank] = names.map((name) => {
    const text = environment[name];
    if (text !== undefined && /^\d{1,7}$/.test(text)) return Number(text);
    faults.push({ where: name, rule: "must be a whole number, as its launcher sets it", got: text ?? "nothing" });
    return 0;
  });
  if (faults.length === 0 && (rank >= size || localRank > rank)) {
    const rule = `must be below ${sizeName}, and not below the local rank`;
    faults.push({ where: names[0], rule, got: `${rank} of ${size}, local ${localRank}` });
  }
  if (faults.length > 0) {
    const next = `start with ${by}, or unset ${names.join(", ")}`;
    throw fault(
      "usage",
      faults.map((one) => ({ ...one, next })),
    );
  }
  return { by, rank, size, localRank };
}
