/** Which part of a manifest this process does: as it was told, or as the batch system that started it says. */

import type { Shard } from "../archive/manifest.ts";
import { type Fault, fault } from "../errors.ts";

type Variables = Readonly<Record<string, string | undefined>>;

/**
 * @param given "I/N"; undefined for what the batch system says, and 0/1 where there is none
 * @throws usage: a part that is none; a batch system that does not say of how many
 */
export function findShard(given: string | undefined, variables: Variables): Shard {
  if (given !== undefined) {
    const [index, count] = given.split("/").map(Number);
    return checked({ index, count }, { where: "--shard", got: given });
  }
  const systems = [ofKubernetes, ofSlurm, ofAwsBatch];
  return systems.map((shardOf) => shardOf(variables)).find((shard) => shard !== undefined) ?? { index: 0, count: 1 };
}

/** Kubernetes itself does not say how many there are; its template does (examples/cluster). */
function ofKubernetes({ JOB_COMPLETION_INDEX: index, JOB_COMPLETIONS: count }: Variables): Shard | undefined {
  if (index === undefined) return undefined;
  return fromVariables({ JOB_COMPLETION_INDEX: index, JOB_COMPLETIONS: count });
}

function ofSlurm(variables: Variables): Shard | undefined {
  const { SLURM_ARRAY_TASK_ID: index, SLURM_ARRAY_TASK_COUNT: count } = variables;
  if (index === undefined) return undefined;
  const { SLURM_ARRAY_TASK_MIN: least, SLURM_ARRAY_TASK_MAX: most } = variables;
  // Of an array of some tasks alone, started to repeat these, Slurm does not know how many there were.
  if (Number(least) !== 0 || Number(most) !== Number(count) - 1) {
    const shown = { SLURM_ARRAY_TASK_MIN: least, SLURM_ARRAY_TASK_MAX: most, SLURM_ARRAY_TASK_COUNT: count };
    const got = Object.entries(shown)
      .map(([name, value]) => (value === undefined ? `no ${name}` : `${name}=${value}`))
      .join(", ");
    const rule = "an array must be 0-(N−1), so that N is known";
    throw fault("usage", { where: "Slurm", rule, got, next: `give --shard "$SLURM_ARRAY_TASK_ID/N"` });
  }
  return fromVariables({ SLURM_ARRAY_TASK_ID: index, SLURM_ARRAY_TASK_COUNT: count });
}

function ofAwsBatch(variables: Variables): Shard | undefined {
  const { AWS_BATCH_JOB_ARRAY_INDEX: index, AWS_BATCH_JOB_ARRAY_SIZE: count } = variables;
  if (index === undefined) return undefined;
  return fromVariables({ AWS_BATCH_JOB_ARRAY_INDEX: index, AWS_BATCH_JOB_ARRAY_SIZE: count });
}

/** @param variables the index, then the count */
function fromVariables(variables: Variables): Shard {
  const [[indexName, index], [countName, count]] = Object.entries(variables);
  const isNumber = (text: string | undefined) => text !== undefined && /^\d{1,9}$/.test(text);
  const faults = Object.entries(variables)
    .filter(([, value]) => !isNumber(value))
    .map(([where, got]): Fault => {
      const next = "set it, or give --shard I/N";
      return { where, rule: "must be a whole number", got: got ?? "nothing", next };
    });
  if (faults.length > 0) throw fault("usage", faults);
  const got = `${index} of ${count}`;
  return checked({ index: Number(index), count: Number(count) }, { where: `${indexName} and ${countName}`, got });
}

function checked(shard: Shard, { where, got }: { where: string; got: string }): Shard {
  if (shard.index < shard.count) return shard;
  const rule = "must be I/N with I from 0 to N − 1";
  throw fault("usage", { where, rule, got, next: "of 100 parts, the first is 0/100 and the last 99/100" });
}
