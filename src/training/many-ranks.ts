/** What ranks that train together must have in common, looked at before the first step. */
import { type Checkpoint, readCheckpoint } from "../checkpoints/checkpoint.ts";
import type { RunConfig } from "../checkpoints/run-config.ts";
import { mustAgree } from "../distributed/agreement.ts";
import type { ProcessGroup } from "../distributed/process-group.ts";
import { flatTexts } from "../files/json.ts";
import type { Learner } from "../models/networks.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { sha256 } from "../utils/sha256.ts";
import type { Learning } from "./learning.ts";

/** @throws usage, on all ranks: one with other options, data, or versions of the programs */
export function mustHaveSame(group: ProcessGroup, { versions, ...config }: RunConfig): void {
  // Their number follows from the options, which say more.
  const { ranks: _, ...programs } = versions;
  mustAgree(group, "options and data", flatTexts({ ...config, versions: programs }));
}

/** @throws usage, on all ranks: one with other weights */
export function mustStartAlike(group: ProcessGroup, { networks }: Learning): void {
  if (group.size === 1) return;
  const hashes = [...networks].map(
    ([name, { parameters }]) => [`weights of ${name}`, parametersHash(parameters)] as const,
  );
  mustAgree(group, "weights", new Map(hashes));
}

/** Of all that a network has learned and keeps: other numbers, another text. */
export function parametersHash({ flat, statistics }: Learner["parameters"]): string {
  const hash = (tensor: Tensor) => sha256(new Uint8Array(tensor.toFloat32().buffer));
  return hash(flat) + hash(statistics);
}

/** The checkpoint that the first rank goes on from, as all of them read it. */
export function sameCheckpoint(group: ProcessGroup, own: Checkpoint | undefined): Checkpoint | undefined {
  const [path] = group.exchange(own?.path);
  return path === undefined ? undefined : (own ?? readCheckpoint(path));
}
