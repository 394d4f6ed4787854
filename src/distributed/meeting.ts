/** How ranks agree on what is no tensor, and how they part: over MPI, or over the store of torchrun. */
export interface Meeting {
  readonly rank: number;
  readonly size: number;
  /** The values of all ranks, in their order: whatever can be cloned. Waits for the others, and lets nothing else run meanwhile. */
  exchange<T>(value: T): T[];
  /** Ends the part of this rank, when all ranks have done theirs. */
  leave(): void;
  /** Ends all ranks with an exit code. */
  abort(code: number): void;
}

/** On a rank that waits for one that has ended, and has said why itself. */
export class RankEnded extends Error {
  override readonly name = "RankEnded";
  readonly exitCode: number;

  constructor(exitCode: number) {
    super(`another rank has ended with exit code ${exitCode}`);
    this.exitCode = exitCode;
  }
}
