/** What an experiment's own time goes to, where `profile` asks for it in any of its stages: trainings, evaluations, the page. */
import type { ProcessGroup } from "../distributed/process-group.ts";
import { isThere } from "../files/read.ts";
import { readProfile, withSession, writeProfile } from "../run/stored-profile.ts";
import { otherWork, type Profile, type RunTimes, Stopwatch, unprofiled } from "../utils/profile.ts";
import type { Experiment } from "./experiment-file.ts";

export class TimedExperiment {
  readonly profile: Profile;
  readonly #folder: string;
  readonly #before: RunTimes | undefined;
  readonly #stopwatch: Stopwatch | undefined;

  /** @throws input: a damaged file in the folder; system */
  constructor({ stages }: Experiment, folder: string, { rank }: ProcessGroup) {
    this.#folder = folder;
    this.#before = rank === 0 ? readProfile(folder) : undefined;
    const isAsked = rank === 0 && stages.some(({ options }) => options.profile);
    this.#stopwatch = isAsked ? new Stopwatch() : undefined;
    this.profile = this.#stopwatch ?? unprofiled;
  }

  /** Over all sessions; undefined where it was never measured. */
  soFar(): RunTimes | undefined {
    return this.#stopwatch === undefined ? this.#before : withSession(this.#before, this.#stopwatch.times());
  }

  /** Stores it, unless nothing was measured. @throws system */
  store(): RunTimes | undefined {
    // Where all was there already, finding that out is not worth a session.
    const isIdle = this.#stopwatch?.times().kinds.every(({ kind }) => kind === otherWork) ?? true;
    // What was stopped before its first stage had a folder has none either.
    if (isIdle || !isThere(this.#folder)) return undefined;
    const all = withSession(this.#before, this.#stopwatch!.times());
    writeProfile(this.#folder, all);
    return all;
  }
}
