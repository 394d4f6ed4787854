/**
 * The rule for the values of black and white, and how it is said: of `--scale`, of a run's description, and of a rendering that
 * a program gives.
 */
export const scaleDiffers = [
  ([black, white]: readonly [number, number]) => black !== white,
  "must be two values that differ, such as 0,3000",
] as const;
