/** The sets of models in demo/models, whichever there are. */
import type { SetDescription } from "./description.ts";

export interface ModelSet {
  /** The folder's. */
  readonly name: string;
  readonly description: SetDescription;
  /** Where its file of that name is. */
  url(file: string): string;
  /** Those of its models, by file name. */
  readonly models: ReadonlyMap<string, string>;
}

const descriptions = import.meta.glob<SetDescription>("./models/*/model.json", { eager: true, import: "default" });
const urls = import.meta.glob<string>("./models/*/*.{onnx,png}", { eager: true, query: "?url", import: "default" });

const found = Object.entries(descriptions).map(([path, description]): ModelSet => {
  const folder = path.slice(0, -"model.json".length);
  const own = new Map(
    Object.entries(urls)
      .filter(([file]) => file.startsWith(folder))
      // The worker has another base than the page.
      .map(([file, url]) => [file.slice(folder.length), new URL(url, document.baseURI).href]),
  );
  return {
    name: folder.split("/").at(-2)!,
    description,
    url: (file) => own.get(file)!,
    models: new Map([...own].filter(([file]) => file.endsWith(".onnx"))),
  };
});

/** By how much the policy's patches are better than as many random ones, in test accuracy; less than all where that is not known. */
export function gainOf({ evaluation }: SetDescription): number {
  const accuracyOf = (name: RegExp) => evaluation?.rows.find((row) => name.test(row.name))?.accuracy;
  const [policy, random] = [accuracyOf(/^policy/), accuracyOf(/^random/)];
  return policy === undefined || random === undefined ? Number.NEGATIVE_INFINITY : policy - random;
}

/** Where looking shows most comes first, and is what the page opens on. */
export const modelSets: readonly ModelSet[] = found.toSorted(
  (a, b) => gainOf(b.description) - gainOf(a.description) || a.name.localeCompare(b.name),
);
