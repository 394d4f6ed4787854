/** What the help, the flag and the completion of an option are made of: plain values, which a build writes to a file. */

/** A default for each model that has its own, and one for `any` other. */
export type ModelDefaults<T = unknown> = { readonly any: T } & { readonly [model: string]: T };

export interface DescribedOption {
  readonly type: "number" | "switch" | "text";
  /** What stands for the value. */
  readonly placeholder: string;
  /** The values that it can have; none where any may do. */
  readonly choices?: readonly string[] | undefined;
  readonly description: string;
  readonly required: boolean;
  readonly default?: unknown;
  readonly modelDefaults?: ModelDefaults | undefined;
  /** Whether it may be given several times, which counts as one list with commas. */
  readonly repeats?: boolean | undefined;
  /** What the `--no_…` of a switch does. */
  readonly whenOff?: string | undefined;
}

/** A command's options by name, in the order of its help. */
export type DescribedOptions = Readonly<Record<string, DescribedOption>>;

/** "512; 1024 with R34_fMoW" */
export function modelDefaultsText({ any, ...models }: ModelDefaults): string {
  return [String(any), ...Object.entries(models).map(([model, value]) => `${value} with ${model}`)].join("; ");
}
