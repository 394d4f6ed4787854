/**
 * An experiment file: stages in order, each with its options; a checkpoint option may name an earlier stage of the file
 * (docs/experiments.md).
 *
 *     common: { dataset: synthetic, seed: 1 }
 *     stages:
 *       hr: { stage: classifier_training, max_epochs: 6 }
 *       policy: { stage: pretrain, ckpt_hr_cl: hr, max_epochs: 10 }
 *     gallery: policy
 */
import { existsSync } from "node:fs";
import path from "node:path";
import {
  type Document,
  isAlias,
  isCollection,
  isNode,
  isScalar,
  LineCounter,
  parseDocument,
  visit,
  YAMLWarning,
} from "yaml";
import { placeOf } from "../checkpoints/packaged.ts";
import { namesCheckpoint } from "../checkpoints/run-config.ts";
import { type Fault, fault, PatchDropError } from "../errors.ts";
import { isJsonObject } from "../files/json.ts";
import { readRegular } from "../files/read.ts";
import { faultsOf } from "../options/parse.ts";
import { parseOptions, type StageName, type StageOptions, stageNames } from "../options/stage-options.ts";
import { didYouMean } from "../utils/closest.ts";
import { defined } from "../utils/defined.ts";
import { belowStages, fileSchema, optionsOf, readableParts, setByExperiment } from "./experiment-schema.ts";

/** One stage of an experiment file, its options checked. */
export interface ExperimentStage {
  readonly name: string;
  readonly stage: StageName;
  readonly options: StageOptions;
}

/** An experiment file that was read and checked. */
export interface Experiment {
  readonly title: string;
  readonly summary: string;
  readonly stages: readonly ExperimentStage[];
  /** The stage whose sweep and images the page shows: the file's, or the last that has a policy; none where none has one. */
  readonly gallery: string | undefined;
}

/** An option for every stage that takes it, from `common` or from the command line. */
interface SharedOption {
  readonly key: string;
  readonly value: unknown;
  readonly faults: readonly Fault[];
  /** Whether it goes over the stage's own. */
  readonly isOver: boolean;
}

/** A stage as it stands in the file; which of the four it is, is undefined where the file names none of them. */
interface WrittenStage {
  readonly name: string;
  readonly stage: StageName | undefined;
  readonly options: Readonly<Record<string, unknown>>;
}

/**
 * Reads an experiment file. Run folders lie under `folder`, by the stages' names; `overrides` go over `common`
 * and, but for {@link belowStages}, over what a stage has of its own.
 * @throws kind "usage" with all faults of the file together, "input" when it cannot be read.
 */
export function readExperiment(file: string, folder: string, overrides: Record<string, unknown> = {}): Experiment {
  const content = parseYaml(file);
  const { title, summary, common, ...parts } = readableParts.parse(isJsonObject(content) ? content : {});
  const written = Object.entries(parts.stages).map(([name, entry]): WrittenStage => {
    const { stage, ...options } = entry ?? { stage: undefined };
    return { name, stage, options };
  });
  const fromCommon = Object.entries(common).map(([key, value]) => ({ key, value, isOver: false }));
  const fromFlags = Object.entries(defined(overrides)).map(([key, value]) => ({
    ...{ key, value },
    isOver: !belowStages.includes(key),
  }));
  const shared = [
    ...fromCommon.map((one) => ({ ...one, faults: sharedFaults(one, `${file}: common.`, written) })),
    ...fromFlags.map((one) => ({ ...one, faults: sharedFaults(one, "--", written) })),
  ];
  const read = written.map((_, i) => readStage(written, i, shared, { file, folder }));
  const gallery = galleryOf(parts.gallery, written, `${file}: gallery`);
  const faults = [...fileFaults(content, file), ...[...shared, ...read, gallery].flatMap((part) => part.faults)];
  if (faults.length > 0) throw fault("usage", faults.map(sayable));
  return { title, summary, stages: read.flatMap(({ stage }) => stage ?? []), gallery: gallery.name };
}

/** What is wrong with the file's own keys and the kinds of their values. */
function fileFaults(content: unknown, file: string): Fault[] {
  if (!isJsonObject(content)) {
    const next = "see docs/experiments.md, and configs/ for examples";
    return [{ where: file, rule: "must hold the keys of an experiment, such as stages", got: content, next }];
  }
  const { error } = fileSchema.safeParse(content);
  const known = Object.keys(fileSchema.shape);
  const unknown = Object.keys(content).filter((key) => !known.includes(key));
  const rule = "must be a key of an experiment file";
  return [
    ...(error === undefined ? [] : faultsOf(error, content, `${file}: `, rule)),
    ...unknown.map((key) => ({ where: `${file}: ${key}`, rule, got: content[key], next: didYouMean(key, known) })),
  ];
}

/** What is wrong with it: checked here once, and not again with each stage. */
function sharedFaults(
  { key, value }: Pick<SharedOption, "key" | "value">,
  place: string,
  stages: readonly WrittenStage[],
) {
  const where = `${place}${key}`;
  if (Object.hasOwn(setByExperiment, key)) return [{ where, rule: setByExperiment[key], got: value }];
  // A stage that cannot be read may be any.
  const kinds = stages.length === 0 ? stageNames : stages.flatMap(({ stage }) => stage ?? stageNames);
  const takers = kinds.filter((stage) => takes(stage, key));
  if (takers.length === 0) {
    const known = kinds.flatMap((stage) => Object.keys(optionsOf(stage)));
    return [{ where, rule: "must be an option of a stage of the file", got: value, next: didYouMean(key, known) }];
  }
  const wrong = takers
    .map((stage) => optionsOf(stage)[key].safeParse(value).error)
    .find((error) => error !== undefined);
  if (wrong !== undefined) return faultsOf(wrong, value, where, "");
  const first = stages.findIndex(({ stage }) => stage !== undefined && takes(stage, key));
  return checkpointFaults(key, value, where, namesBefore(stages, first));
}

/** Stage `i` with all its options, or what is wrong with its own; shared options were checked before. */
function readStage(
  stages: readonly WrittenStage[],
  i: number,
  shared: readonly SharedOption[],
  { file, folder }: { file: string; folder: string },
): { stage?: ExperimentStage; faults: readonly Fault[] } {
  const { name, stage, options: own } = stages[i];
  if (stage === undefined) return { faults: [] };
  const place = `${file}: stages.${name}.`;
  const earlier = namesBefore(stages, i);
  const faults = Object.entries(own).flatMap(([key, value]) => ownFaults(key, value, { place, stage, earlier }));
  const taken = shared.filter(({ key, isOver }) => takes(stage, key) && (isOver || !Object.hasOwn(own, key)));
  const over = taken.filter(({ isOver }) => isOver);
  const pairs = (options: readonly SharedOption[]) => options.map(({ key, value }) => [key, value] as const);
  const values = [...pairs(taken), ...Object.entries(own), ...pairs(over)];
  const given = values
    .filter(([key]) => takes(stage, key))
    .map(([key, value]) => [key, namesStage(key, value, earlier) ? path.join(folder, value) : value]);
  try {
    const cv_dir = path.join(folder, name);
    return {
      stage: { name, stage, options: parseOptions(stage, { ...Object.fromEntries(given), cv_dir }, place) },
      faults,
    };
  } catch (error) {
    if (!(error instanceof PatchDropError)) throw error;
    const said = taken.filter((option) => option.faults.length > 0).map(({ key }) => `${place}${key}`);
    return { faults: [...faults, ...error.faults.filter(({ where }) => !said.includes(where))] };
  }
}

/** What is wrong with an option in a stage apart from its value: that it stands there, and what it names. */
function ownFaults(
  key: string,
  value: unknown,
  { place, stage, earlier }: { place: string; stage: StageName; earlier: readonly string[] },
): Fault[] {
  const where = `${place}${key}`;
  if (Object.hasOwn(setByExperiment, key)) return [{ where, rule: setByExperiment[key], got: value }];
  if (takes(stage, key)) return checkpointFaults(key, value, where, earlier);
  const next = didYouMean(key, Object.keys(optionsOf(stage))) ?? `see \`patchdrop ${stage} --help\``;
  return [{ where, rule: `must be an option of ${stage}`, got: value, next }];
}

function takes(stage: StageName, key: string): boolean {
  return Object.hasOwn(optionsOf(stage), key);
}

/** Whether an option's value is the name of an earlier stage, whose run folder is then meant. */
function namesStage(key: string, value: unknown, earlier: readonly string[]): value is string {
  return namesCheckpoint(key) && earlier.some((name) => name === value);
}

function checkpointFaults(key: string, value: unknown, where: string, earlier: readonly string[]): Fault[] {
  if (!namesCheckpoint(key) || typeof value !== "string") return [];
  if (namesStage(key, value, earlier) || existsSync(placeOf(value))) return [];
  const saved = "a run folder or checkpoint that exists";
  const rule =
    earlier.length === 0
      ? `must be ${saved}, since no stage comes before`
      : `must be an earlier stage (${earlier.join(", ")}) or ${saved}`;
  return [{ where, rule, got: value, next: didYouMean(value, earlier) }];
}

function namesBefore(stages: readonly WrittenStage[], i: number): string[] {
  return stages.slice(0, i).map(({ name }) => name);
}

/** The stage that `gallery` names, or, where the file does not say, the last one that has a policy. */
function galleryOf(
  gallery: string | undefined,
  stages: readonly WrittenStage[],
  where: string,
): { name?: string | undefined; faults: readonly Fault[] } {
  const withPolicy = stages.filter(({ stage }) => stage !== "classifier_training").map(({ name }) => name);
  if (gallery === undefined) return { name: withPolicy.at(-1), faults: [] };
  if (stages.length === 0 || withPolicy.includes(gallery)) return { name: gallery, faults: [] };
  const rule =
    withPolicy.length === 0
      ? "must be left out, since no stage of the file has a policy"
      : `must be a stage of the file that has a policy (${withPolicy.join(", ")})`;
  return { faults: [{ where, rule, got: gallery, next: didYouMean(gallery, withPolicy) }] };
}

/** A fault whose value can be said in a line. */
function sayable(one: Fault): Fault {
  const { got } = one;
  if (typeof got !== "object") return one;
  const isEmpty = got === null || Object.keys(got).length === 0;
  return { ...one, got: isEmpty ? "nothing" : Array.isArray(got) ? "a list" : "keys with values" };
}

/** @throws usage: no YAML, or what the library would warn of in words of its own, such as a tag that it does not know */
function parseYaml(file: string): unknown {
  const text = textOf(file);
  try {
    const lines = new LineCounter();
    const document = parseDocument(text, { lineCounter: lines });
    const [wrong] = [...document.errors, ...document.warnings];
    if (wrong !== undefined) throw wrong;
    checkKeys(document, lines);
    return document.toJS({ maxAliasCount: 100 });
  } catch (cause) {
    // What follows shows the place, over several lines; the advice is for programs that call the library.
    const [said] = cause instanceof Error ? cause.message.split(/:?\n/) : [String(cause)];
    const got = said.replace(/; please use YAML\.\S+/, "");
    const next = cause instanceof YAMLWarning ? "leave it out" : undefined;
    throw fault("usage", { where: file, rule: "must be YAML", got, next }, cause);
  }
}

/** @throws Error: a list or a mapping as a key, of which JavaScript would make a text, or a key that objects have already */
function checkKeys(document: Document, lines: LineCounter): void {
  visit(document, {
    Pair(_, { key }) {
      const resolved = isAlias(key) ? key.resolve(document) : key;
      const isProto = isScalar(resolved) && resolved.value === "__proto__";
      if (!isProto && !isCollection(resolved)) return;
      const { line, col } = lines.linePos(isNode(key) ? (key.range?.[0] ?? 0) : 0);
      const what = isProto ? "__proto__" : "keys with values, or a list,";
      throw new Error(`${what} as a key at line ${line}, column ${col}`);
    },
  });
}

function textOf(file: string): string {
  try {
    return readRegular(file).toString("utf8");
  } catch (cause) {
    const code = cause instanceof Error && "code" in cause ? cause.code : cause;
    const got = code === "ENOENT" ? "no such file" : code;
    const next = "see configs/ for examples";
    throw fault("input", { where: file, rule: "must be a file that can be read", got, next }, cause);
  }
}
