/**
 * Work that has to wait between its steps, several pieces at a time: while one waits, another takes a step. Who takes the next step follows
 * from a fixed rule and never from how soon something came, so that whatever the steps have in common is always done in the same order.
 */

/** A piece of work: a step at a time, and at last what is to be done in the order of the pieces. */
export interface Piece {
  /** Nothing more is done where no step is left. */
  step(): Promise<void>;
  finish(): Promise<void>;
}

export class Relay<P extends Piece> {
  readonly #steps: number;
  readonly #lag: number;
  /** By how many pieces came after each; undefined where the time of one passed without one. */
  readonly #underway: (P | undefined)[] = [];

  /**
   * @param steps that a piece has at most
   * @param lag so many further pieces begin before a piece takes its next step
   */
  constructor({ steps, lag }: { readonly steps: number; readonly lag: number }) {
    this.#steps = steps;
    this.#lag = lag;
  }

  /** In the order in which they came, the last one first. */
  get underway(): readonly P[] {
    return this.#underway.filter((piece) => piece !== undefined);
  }

  /** Begins a piece; those before it go on, and the first one ends. */
  begin(piece: P): Promise<void> {
    return this.#pass(piece);
  }

  /** Lets all go on as if another piece had begun. */
  goOn(): Promise<void> {
    return this.#pass(undefined);
  }

  /** Until all have ended. */
  async end(): Promise<void> {
    while (this.underway.length > 0) await this.goOn();
  }

  async #pass(piece: P | undefined): Promise<void> {
    this.#underway.unshift(piece);
    for (let step = 0; step < this.#steps; step++) await this.#underway[step * this.#lag]?.step();
    if (this.#underway.length > (this.#steps - 1) * this.#lag) await this.#underway.pop()?.finish();
  }
}
