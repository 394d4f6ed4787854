/** Numbers of a file that cannot be computed with: NaN and infinity, with which everything that follows is NaN, and their like. */
import { fault } from "../errors.ts";

interface Refusal {
  readonly where: string;
  /** What must hold. */
  readonly rule: string;
  /** What each number is. */
  readonly what?: string;
  readonly next?: string;
}

/** @throws notFinite: the first of the values that is wrong */
export function refuseValues(
  values: Float32Array,
  isWrong: (value: number) => boolean,
  { where, rule, what = "element", next = "use an earlier or another checkpoint" }: Refusal,
): void {
  const at = values.findIndex(isWrong);
  if (at === -1) return;
  throw fault("notFinite", { where, rule, got: `${values[at]} as ${what} ${at} of ${values.length}`, next });
}

/** What {@link refuseValues} takes for wrong where any finite number will do. */
export function isNotFinite(value: number): boolean {
  return !Number.isFinite(value);
}
