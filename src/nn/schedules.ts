/**
 * Learning rates over time, as PyTorch's schedulers compute them. Pure functions of the position, so that a resumed run
 * needs nothing else.
 */

export interface Position {
  /** Epochs done. */
  epoch: number;
  /** Total number of steps done. */
  step: number;
}

export type Schedule = (position: Position) => number;

/** torch.optim.lr_scheduler.MultiStepLR: ×gamma at each milestone epoch. */
export function multiStep(lr: number, milestones: readonly number[], gamma = 0.1): Schedule {
  return ({ epoch }) => lr * gamma ** milestones.filter((milestone) => epoch >= milestone).length;
}

/** torch.optim.lr_scheduler.StepLR: ×gamma every `epochStep` epochs. */
export function stepDecay(lr: number, epochStep: number, gamma = 0.1): Schedule {
  return ({ epoch }) => lr * gamma ** Math.floor(epoch / epochStep);
}

/** From `lr` at the first step straight down to nothing behind the last. */
export function linearDecay(lr: number, totalSteps: number): Schedule {
  return ({ step }) => lr * Math.max(0, 1 - step / totalSteps);
}

const warmUpShare = 0.3;
const startDivisor = 25;
const endDivisor = 1e4;

/**
 * torch.optim.lr_scheduler.OneCycleLR with its defaults: by cosine from lr/25 up to lr over the first 30 % of the steps,
 * then down to lr/25/10,000 at the last.
 */
export function oneCycle(lr: number, totalSteps: number): Schedule {
  const peak = warmUpShare * totalSteps - 1;
  const last = Math.max(totalSteps - 1, 1);
  const start = lr / startDivisor;
  const cosine = (from: number, to: number, share: number) => to + ((from - to) / 2) * (1 + Math.cos(Math.PI * share));
  return ({ step }) =>
    step <= peak
      ? cosine(start, lr, step / peak)
      : cosine(lr, start / endDivisor, Math.min((step - peak) / (last - peak), 1));
}
