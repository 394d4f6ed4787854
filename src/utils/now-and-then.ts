/** Turns a flood of progress into a line every few seconds. */

const sayEveryMs = 5000;

/** @param say takes the lines; absent: nobody does */
export function nowAndThen<Progress extends readonly unknown[]>(
  say: ((text: string) => void) | undefined,
  text: (...progress: Progress) => string,
): (...progress: Progress) => void {
  let last = performance.now();
  return (...progress) => {
    if (performance.now() - last < sayEveryMs) return;
    last = performance.now();
    say?.(text(...progress));
  };
}
