/** What a stage's time goes to (`--profile`): its kinds of work, and what is stored of a session. */
import { readProfile, withSession, writeProfile } from "../run/stored-profile.ts";
import { type Computer, computerText, type Profile, type RunTimes, type Times } from "../utils/profile.ts";

/** The kinds of work of a stage; what belongs to none of them is "other". */
export type StageKind =
  /** Loading libtorch, opening the data, reading checkpoints, making the networks. */
  | "start"
  /** Waiting for the loader. */
  | "reading images"
  /** A batch to the device, and its values normalized. */
  | "normalizing"
  | "low resolution and masks"
  /** The forward pass of the policy. */
  | "policy"
  /** The forward pass of the classifier that learns. */
  | "classifier"
  /** Forward passes of a classifier that does not learn: it judges masks, or adds its logits. */
  | "frozen classifier"
  | "backward"
  | "optimizer"
  /** What else a step does: sampling, rewards, losses. On a GPU a step has no parts, and goes on when this has ended. */
  | "step"
  /** Adding gradients up over ranks, and waiting for them. */
  | "exchange"
  /** Reading a step's numbers back, adding them up, logging. On a GPU this is where the program waits for its steps. */
  | "metrics"
  /** The test after an epoch. */
  | "test"
  /** Checking the weights, writing checkpoints. */
  | "saving";

export type StageProfile = Profile<StageKind>;

/** What the speed of training is not counted over. */
const besideTraining: readonly string[] = ["start", "test", "saving"] satisfies StageKind[];

/**
 * What earlier sessions left in a run folder. What something else computed is not added up: then a new profile begins, with a note.
 * @throws input: a damaged file; system
 */
export function profileBefore(folder: string, computer: Computer, note: (text: string) => void) {
  const before = readProfile(folder);
  if (before?.training === undefined) return undefined;
  const [was, is] = [before.training, computer].map(computerText);
  if (was === is) return before;
  note(`${folder}: its profile is of ${was}; a new one begins, of ${is}`);
  return undefined;
}

/** Stores a session in the run folder, added to those before. @param images that it trained on @throws system */
export function storeSession(
  folder: string,
  before: RunTimes | undefined,
  { times, images: own, computer }: { times: Times; images: number; computer: Computer },
): RunTimes {
  const all = withSession(before, times);
  const images = own + (before?.training?.images ?? 0);
  const inTraining = all.kinds.filter(({ kind }) => !besideTraining.includes(kind));
  const seconds = inTraining.reduce((sum, one) => sum + one.seconds, 0);
  const { device, threads, precision } = computer;
  const imagesPerSecond = seconds === 0 ? 0 : images / seconds;
  const profile = { ...all, training: { device, threads, precision, images, imagesPerSecond } };
  writeProfile(folder, profile);
  return profile;
}
