/** What ranks that work as one must have in common, compared before they begin: what differs is named, with its rank. */
import { type Fault, fault } from "../errors.ts";
import type { ProcessGroup } from "./process-group.ts";

/** Names and values of what is compared. */
export type Compared = ReadonlyMap<string, string>;

interface Said {
  /** What is compared at this point of the work. */
  readonly about: string;
  readonly own: Compared;
}

/**
 * Waits for all ranks.
 * @param about what is compared, such as "options"
 * @throws usage, on all ranks: the first difference of each from rank 0
 */
export function mustAgree(group: ProcessGroup, about: string, own: Compared): void {
  if (group.size === 1) return;
  const [first, ...others] = group.exchange<Said>({ about, own });
  const faults = others.flatMap((other, n) => {
    const difference = differenceOf(first, other);
    if (difference === undefined) return [];
    const [name, got, expected] = difference;
    const said = `${short(got)} instead of ${short(expected)}`;
    return [
      { where: `rank ${n + 1}: ${name}`, rule: "must be as on rank 0", got: said, next: "start all ranks alike" },
    ];
  });
  if (faults.length > 0) throw fault("usage", faults satisfies Fault[]);
}

function differenceOf(first: Said, other: Said): readonly [name: string, got?: string, expected?: string] | undefined {
  if (first.about !== other.about) return ["work", other.about, first.about];
  const name = [...first.own.keys(), ...other.own.keys()].find((key) => first.own.get(key) !== other.own.get(key));
  return name === undefined ? undefined : [name, other.own.get(name), first.own.get(name)];
}

const short = (text = "nothing") => (text.length > 40 ? `${text.slice(0, 40)}…` : text);
