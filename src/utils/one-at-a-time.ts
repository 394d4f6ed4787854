/** For what several callers share and only one may use at a time. */

interface Waiting {
  readonly place: number;
  begin(): void;
}

/**
 * @returns does work when nobody else's is under way, and gives what it gives; of those that wait, the one with the lowest place is next, and
 *   of the same place the one that came first
 */
export function oneAtATime(): <T>(work: () => T | Promise<T>, place?: number) => Promise<T> {
  const waiting: Waiting[] = [];
  let isBusy = false;
  const next = () => {
    const first = waiting.reduce((best, { place }, n) => (place < waiting[best].place ? n : best), 0);
    const [one] = waiting.splice(first, 1);
    isBusy = one !== undefined;
    one?.begin();
  };
  return async (work, place = 0) => {
    if (isBusy) await new Promise<void>((begin) => waiting.push({ place, begin }));
    isBusy = true;
    try {
      return await work();
    } finally {
      next();
    }
  };
}
