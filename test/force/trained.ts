/** What two trainings are compared by. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { outcome } from "../e2e/runs.ts";
import { decodeEvents } from "../formats/decode-events.ts";

/** All that must be the same of a training; the speed is not, which an epoch without a step in its last session does not have. */
export function trained(run: string) {
  const { eventBytes: _, best, last, metrics } = outcome(run);
  const file = readdirSync(run).find((name) => name.startsWith("events.out.tfevents."));
  if (file === undefined) throw new Error(`${run} has no event file`);
  const events = decodeEvents(readFileSync(join(run, file))).map(({ step, scalars }) => {
    const { train_images_per_second: __, "images_per_second/train": ___, ...others } = scalars;
    return { step, others };
  });
  return { best: { ...best, name: plain(best.name) }, last: { ...last, name: plain(last.name) }, metrics, events };
}

/** A checkpoint that was made and not linked is made again, under its name with a number. */
const plain = (name: string) => name.replace(/(R_-?\d+\.\d+)_\d+$/, "$1");
