/** For what several users have at a time, each as much of it as it needs. */

interface Waiting {
  readonly amount: number;
  readonly place: number;
  begin(): void;
}

export class Shares {
  readonly #most: number;
  readonly #waiting: Waiting[] = [];
  #taken = 0;

  constructor(most: number) {
    this.#most = most;
  }

  /**
   * Waits until there is as much, and until nobody of a lower place waits. More than there is in all counts as all.
   * @returns gives it back; a second call does nothing
   */
  async take(wanted: number, place: number): Promise<() => void> {
    const amount = Math.min(wanted, this.#most);
    await new Promise<void>((begin) => {
      this.#waiting.push({ amount, place, begin });
      this.#waiting.sort((a, b) => a.place - b.place);
      this.#next();
    });
    let isHeld = true;
    return () => {
      if (!isHeld) return;
      isHeld = false;
      this.#taken -= amount;
      this.#next();
    };
  }

  #next(): void {
    for (let first = this.#waiting[0]; first !== undefined; first = this.#waiting[0]) {
      if (this.#taken + first.amount > this.#most) return;
      this.#waiting.shift();
      this.#taken += first.amount;
      first.begin();
    }
  }
}
