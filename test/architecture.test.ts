/**
 * The house's rules that no linter knows: which folder may import which, what the browser page must not reach, and that no
 * two source files share a name. docs/architecture.md says what lies in each folder.
 */
import { readdirSync, readFileSync } from "node:fs";
import { basename, dirname, join, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "vitest";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Folders of src/ in the order in which they stand on one another, each with those below it that it may import. */
const mayImport: Record<string, readonly string[]> = {
  utils: [],
  files: ["utils"],
  formats: [],
  native: ["utils"],
  setup: ["utils", "files", "formats", "native"],
  tensor: ["utils", "native"],
  distributed: ["utils", "native", "tensor"],
  nn: ["utils", "native", "tensor", "formats"],
  method: ["utils", "tensor"],
  models: ["utils", "tensor", "nn", "method", "formats"],
  data: ["utils", "files", "formats"],
  checkpoints: ["utils", "files", "formats", "method"],
  run: ["utils", "files", "formats", "checkpoints"],
  page: [],
  options: ["utils", "method", "data", "checkpoints"],
  inference: [
    ...["utils", "files", "formats", "native", "tensor", "nn", "method", "models", "data", "checkpoints", "options"],
  ],
  evaluation: [
    ...["utils", "files", "tensor", "distributed", "nn", "method", "models", "data", "checkpoints", "options"],
    "inference",
  ],
  headroom: ["utils", "files", "method", "data", "checkpoints", "options", "inference", "evaluation"],
  compute: [
    ...["utils", "files", "native", "tensor", "nn", "method", "models", "checkpoints", "options", "inference"],
    "evaluation",
  ],
  training: [
    ...[
      "utils",
      "files",
      "formats",
      "native",
      "setup",
      "tensor",
      "distributed",
      "nn",
      "method",
      "models",
      "data",
      "checkpoints",
      "options",
      "run",
    ],
    ...["inference", "evaluation"],
  ],
  export: [
    ...["utils", "files", "formats", "native", "tensor", "nn", "method", "models", "data", "checkpoints", "options"],
    "inference",
  ],
  report: ["utils", "method"],
  predict: ["utils", "files", "method", "data", "checkpoints", "options", "inference", "report"],
  archive: ["utils", "files", "options"],
  acquire: ["utils", "files", "formats", "method", "data", "options", "inference", "predict", "archive"],
  order: ["utils", "files", "options", "acquire"],
  shards: ["utils", "files", "method", "data", "options", "inference", "predict", "archive", "acquire"],
  api: [...["utils", "method", "data", "options", "inference", "evaluation", "training", "export", "acquire"]],
  experiment: [
    "utils",
    "files",
    "distributed",
    "checkpoints",
    "run",
    "options",
    "evaluation",
    "headroom",
    "compute",
    "training",
    "report",
  ],
};

interface SourceFile {
  /** From the repository's root. */
  readonly path: string;
  /** Of the project's own modules, from the repository's root. */
  readonly own: readonly string[];
  /** Those of them that are there when the program runs, and not for their types alone. */
  readonly loaded: readonly string[];
  /** Of packages and of Node. */
  readonly foreign: readonly string[];
}

function read(path: string): SourceFile {
  const text = readFileSync(join(root, path), "utf8");
  const statements = text.matchAll(/^(?:import|export) (type )?(?:[^;"]*? from )?"([^"]+)";$/gm);
  const imports = [
    ...Array.from(statements, ([, type, specifier]) => ({ specifier, isType: type !== undefined })),
    ...Array.from(text.matchAll(/\b(?:import|require)\("([^"]+)"\)/g), ([, specifier]) => ({
      specifier,
      isType: false,
    })),
  ];
  const own = imports.filter(({ specifier }) => specifier.startsWith("."));
  const place = ({ specifier }: { specifier: string }) => join(dirname(path), specifier);
  return {
    path,
    own: own.map(place),
    loaded: own.filter(({ isType }) => !isType).map(place),
    foreign: imports.map(({ specifier }) => specifier).filter((specifier) => !specifier.startsWith(".")),
  };
}

function filesBelow(folder: string): SourceFile[] {
  const names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  return names
    .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
    .map((name) => read(join(folder, name)));
}

const sources = filesBelow("src");
const page = filesBelow("demo").filter(({ path }) => !path.endsWith("vite.config.ts"));

/** The folder of src/ that a file lies in; of a file that lies in none, its own name. */
function folderOf(path: string): string {
  return path.split(sep)[1];
}

/** The shortest way from a file along its imports back to itself. */
function circleAt(start: SourceFile): readonly string[] | undefined {
  const ways: (readonly string[])[] = [[start.path]];
  const seen = new Set<string>();
  for (const way of ways) {
    for (const target of sources.find(({ path }) => path === way.at(-1))?.own ?? []) {
      if (target === start.path) return way;
      if (seen.has(target)) continue;
      seen.add(target);
      ways.push([...way, target]);
    }
  }
  return undefined;
}

describe("imports", () => {
  it("go from a folder to those below it only", () => {
    const wrong = sources.flatMap(({ path, own }) => {
      const folder = folderOf(path);
      if (folder === "cli" || folder === "index.ts") return [];
      const allowed = folder === "errors.ts" ? [] : ["errors.ts", folder, ...mayImport[folder]];
      return own.filter((target) => !allowed.includes(folderOf(target))).map((target) => `${path} → ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it("never go round, those of types included", () => {
    const circles = sources.map(circleAt).filter((circle) => circle !== undefined);
    // Each is found from every file on it: told once, from the first by name.
    const once = circles.filter((circle) => circle.every((path) => path >= circle[0]));
    expect(once.map((circle) => [...circle, circle[0]].join(" → "))).toEqual([]);
  });

  it("reach neither the command line nor libtorch's fetching from the library", () => {
    const { own } = sources.find(({ path }) => path === join("src", "index.ts"))!;
    expect(own.filter((target) => ["cli", "setup"].includes(folderOf(target)))).toEqual([]);
  });

  it("bring C functions in by one file of src/native only", () => {
    const callers = sources.filter(({ foreign }) => foreign.includes("koffi")).map(({ path }) => path);
    expect(callers).toEqual([join("src", "native", "koffi.ts")]);
  });

  it("bring neither files of Node nor tensors into the browser page, by any way", () => {
    const reached = new Map<string, SourceFile>();
    const waiting = [...page];
    for (let file = waiting.pop(); file !== undefined; file = waiting.pop()) {
      if (reached.has(file.path)) continue;
      reached.set(file.path, file);
      waiting.push(...sources.filter(({ path }) => file.loaded.includes(path)));
    }
    expect(reached.size).toBeGreaterThan(page.length);
    const wrong = [...reached.values()].filter(
      ({ path, foreign }) =>
        foreign.some((name) => name.startsWith("node:")) || ["native", "tensor"].includes(folderOf(path)),
    );
    expect(wrong.map(({ path }) => path)).toEqual([]);
  });
});

it("gives no two source files one name", () => {
  const names = sources.map(({ path }) => basename(path));
  expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
});

it("lists every folder", () => {
  const folders = new Set(sources.map(({ path }) => folderOf(path)).filter((name) => !name.endsWith(".ts")));
  expect([...folders].sort()).toEqual([...Object.keys(mayImport), "cli"].sort());
});

it("names the stage of two streams where its options are: whoever wants to know asks OpenedRun.hasTwoStreams", () => {
  const naming = sources.filter(({ path }) => readFileSync(join(root, path), "utf8").includes('"finetune2stream"'));
  expect(naming.map(({ path }) => path)).toEqual([join("src", "options", "stage-options.ts")]);
});
