/** For what several callers share and only one may use at a time. */

/** @returns does work when all that was handed to it before has ended, and gives what it gives */
export function oneAtATime(): <T>(work: () => T | Promise<T>) => Promise<T> {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const own = last.then(work);
    last = own.catch(() => undefined);
    return own;
  };
}
