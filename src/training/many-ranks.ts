/** What ranks that train together must have in common, looked at before the first step: what differs is named, with its rank. */
import { type Checkpoint, readCheckpoint } from "../checkpoints/checkpoint.ts";
import type { RunConfig } from "../checkpoints/run-config.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { fault } from "../errors.ts";
import { flat, toJson } from "../files/json.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { sha256 } from "../utils/sha256.ts";
import type { Learning } from "./learning.ts";

/** @throws usage, on all ranks: one with other options, data, or versions of the programs */
export function mustAgree(group: ProcessGroup, config: RunConfig): void {
  compare(group, new Map(flat(toJson(config)).map(([name, value]) => [name, JSON.stringify(value)])));
}

/** @throws usage, on all ranks: one with other weights */
export function mustStartAlike(group: ProcessGroup, { networks }: Learning): void {
  if (group.size === 1) return;
  const hash = (tensor: Tensor) => sha256(new Uint8Array(tensor.toFloat32().buffer));
  const hashes = [...networks].map(
    ([name, { parameters }]) => [`weights of ${name}`, hash(parameters.flat) + hash(parameters.statistics)] as const,
  );
  compare(group, new Map(hashes));
}

/** The checkpoint that the first rank goes on from, as all of them read it. */
export function sameCheckpoint(group: ProcessGroup, own: Checkpoint | undefined): Checkpoint | undefined {
  const [path] = group.exchange(own?.path);
  return path === undefined ? undefined : (own ?? readCheckpoint(path));
}

function compare(group: ProcessGroup, own: ReadonlyMap<string, string>): void {
  const [first, ...others] = group.exchange(own);
  const faults = others.flatMap((other, n) => {
    const name = [...first.keys(), ...other.keys()].find((key) => first.get(key) !== other.get(key));
    if (name === undefined) return [];
    const got = `${short(other.get(name))} instead of ${short(first.get(name))}`;
    return [{ where: `rank ${n + 1}: ${name}`, rule: "must be as on rank 0", got, next: "start all ranks alike" }];
  });
  if (faults.length > 0) throw fault("usage", faults);
}

const short = (text = "nothing") => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
