import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import { beforeEach, describe, expect, test } from "vitest";
import { progressPrinter } from "../../src/cli/setup-command.ts";
import { installByPip, PipProgress, pipFault, type SetupProgress } from "../../src/setup/pip.ts";
import { setupLibtorch } from "../../src/setup/setup.ts";
import { temporaryFolder } from "../temporary-folder.ts";
import { fakePython, platform, writeFake, writeFileAt } from "./fake-libtorch.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

interface FakePip {
  version?: string;
  /** Shell commands of `pip install`; $target is the folder to install into. */
  install: string;
  /** Name and content of the wheel that `pip download` brings. */
  offered?: readonly [name: string, content: string];
}

/** Of a Python that will not come. */
const unknownWheel = "torch-2.15.0-cp39-cp39-manylinux_2_28_x86_64.whl";

/** An environment whose Python has a pip that logs its arguments, one call a line, and no torch. */
function withPip({ version = "24.2", install, offered = [unknownWheel, "wheel"] }: FakePip): NodeJS.ProcessEnv {
  const script = [
    // `python3 -c …`: where is torch? Nowhere.
    'if [ "$1" = -c ]; then echo; exit; fi',
    `if [ "$3" = --version ]; then echo "pip ${version} from /somewhere (python 3.12)"; exit; fi`,
    `echo "$@" >> '${folder}/calls'; env > '${folder}/env'`,
    "step=$3; while [ $# -gt 0 ]; do case $1 in --target) target=$2;; --dest) dest=$2;; esac; shift; done",
    `if [ "$step" = download ]; then printf '${offered[1]}' > "$dest/${offered[0]}"; exit; fi`,
    install,
  ].join("\n");
  const VIRTUAL_ENV = fakePython(path.join(folder, "venv"), script);
  return { PATH: "/usr/bin:/bin", VIRTUAL_ENV, PATCHDROP_CACHE: path.join(folder, "cache") };
}

const calls = () => readFileSync(path.join(folder, "calls"), "utf8").trim().split("\n");

/** A wheel's `torch` folder as pip would leave it, built for a CUDA version or none. */
function wheel(cuda: string | undefined): string {
  const torch = writeFake(path.join(folder, "wheel/torch"), { version: "2.15.0+cu132" });
  const literal = cuda === undefined ? "None" : `'${cuda}'`;
  writeFileAt(path.join(torch, "version.py"), `__version__ = '2.15.0+x'\ncuda: Optional[str] = ${literal}\n`);
  return `cp -R '${folder}/wheel/torch' "$target/"`;
}

describe("installing by pip", () => {
  const run = async (pip: FakePip, cuda = false) => {
    const target = path.join(folder, "target");
    await installByPip(target, { version: "2.15.0", cuda, env: withPip(pip), onProgress: () => undefined });
    return calls().map((call) => call.replaceAll(target, "TARGET"));
  };
  const quiet = "--no-input --disable-pip-version-check --progress-bar raw";
  const fetched = `-m pip download --dest TARGET/.pip --no-deps --only-binary :all: torch==2.15.0 ${quiet}`;
  const install = "-m pip install --target TARGET --no-compile --upgrade";
  const file = `TARGET/.pip/${unknownWheel}`;

  test("a CUDA wheel: torch alone, then the two libraries that its libtorch_cpu needs", async () => {
    expect(await run({ install: wheel("13.2") })).toEqual([
      fetched,
      `${install} --no-deps ${file} ${quiet}`,
      `${install} --no-deps nvidia-cuda-runtime>=13,<14 nvidia-cuda-cupti>=13,<14 ${quiet}`,
    ]);
  });

  test("packages of CUDA 12 carry it in their names", async () => {
    expect((await run({ install: wheel("12.8") }))[2]).toMatch(
      /--no-deps nvidia-cuda-runtime-cu12 nvidia-cuda-cupti-cu12 --no-input/,
    );
  });

  test("a CPU wheel needs nothing else", async () => {
    expect(await run({ install: wheel(undefined) })).toHaveLength(2);
  });

  test("with CUDA, all that torch requires", async () => {
    expect(await run({ install: wheel("13.2") }, true)).toEqual([fetched, `${install} ${file} ${quiet}`]);
  });

  test("a pip before 24.1 has no progress for programs", async () => {
    expect((await run({ version: "23.2.1", install: wheel(undefined) }))[0]).toContain("--progress-bar off");
  });

  test("unpacks on the target's disk, whatever the user's pip is set up for", async () => {
    await run({ install: wheel(undefined) });
    const variables = readFileSync(path.join(folder, "env"), "utf8").split("\n");
    expect(variables).toContain(`TMPDIR=${folder}/target/.pip`);
    expect(variables).toContain("PIP_USER=0");
    expect(readdirSync(path.join(folder, "target"))).toEqual(["torch"]);
  });

  // Of the index's page for torch, by pip's own report.
  const known = "torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl";
  const checksum = "6d8c86f4e33a9f12a58149bd9b0d64351632b8eb44479be8ff85e5389932dd79";

  test("a wheel of a known name with other bytes is not installed", async () => {
    await expect(run({ install: wheel(undefined), offered: [known, "evil"] })).rejects.toMatchObject({
      kind: "input",
      // printf evil | sha256sum
      message: `${known}: must have the sha256 checksum ${checksum}, got b5c1fb2efc6d6b4674c2fdcc48ce01b43a3b7c03763c0c3355de0099ee0f8c73; nothing was kept; check which index pip is set up for`,
    });
    expect(calls()).toHaveLength(1);
    expect(readdirSync(path.join(folder, "target"))).toEqual([]);
  });

  test("of a wheel that is not known, this is said", async () => {
    const steps: string[] = [];
    const env = withPip({ install: wheel(undefined) });
    const onProgress = ({ step }: SetupProgress) => steps.push(step);
    await installByPip(path.join(folder, "target"), { version: "2.15.0", cuda: false, env, onProgress });
    expect(steps).toContain(`no checksum is known here of ${unknownWheel}: it is as pip's index has it`);
  });

  test("without a pip is an error that names the other way", async () => {
    const VIRTUAL_ENV = fakePython(path.join(folder, "venv"), "echo 'No module named pip' >&2; exit 1");
    const attempt = installByPip(path.join(folder, "target"), {
      version: "2.15.0",
      cuda: false,
      env: { PATH: "/usr/bin:/bin", VIRTUAL_ENV },
      onProgress: () => undefined,
    });
    await expect(attempt).rejects.toMatchObject({
      kind: "input",
      message: `${VIRTUAL_ENV}/bin/python3 -m pip: must run; install Python with pip, or run \`patchdrop setup --from archive\``,
    });
  });
});

describe("setup by pip", () => {
  test("fetches once", async () => {
    const env = withPip({ install: wheel(undefined) });
    const root = path.join(folder, "cache/libtorch", `2.15.0-cpu-${platform}`, "torch");
    expect(await setupLibtorch({ env })).toMatchObject({ fetched: true, found: { root, version: "2.15.0+x" } });
    expect(await setupLibtorch({ env })).toMatchObject({ fetched: false, found: { root } });
    expect(await setupLibtorch({ env, from: "pip" })).toMatchObject({ fetched: false, found: { root } });
    expect(calls()).toHaveLength(2);
  });

  test("that fails half-way leaves nothing", async () => {
    const env = withPip({ install: `${wheel(undefined)}; echo 'ERROR: killed' >&2; exit 1` });
    await expect(setupLibtorch({ env })).rejects.toMatchObject({
      kind: "system",
      message: expect.stringContaining("got killed"),
    });
    expect(readdirSync(path.join(folder, "cache/libtorch"))).toEqual([]);
  });

  test("that yields a broken libtorch is refused", async () => {
    const env = withPip({ install: `${wheel(undefined)}; for f in "$target"/torch/lib/libc10.*; do : > "$f"; done` });
    await expect(setupLibtorch({ env })).rejects.toMatchObject({
      kind: "input",
      message: expect.stringMatching(/libc10\.\w+ is empty/),
    });
    expect(existsSync(path.join(folder, "cache/libtorch", `2.15.0-cpu-${platform}`))).toBe(false);
  });
});

// What pip 23 and 24 print, shortened.
describe("pip's failures", () => {
  test("no network", () => {
    const output = [
      "WARNING: Retrying (Retry(total=0)) after connection broken by 'NewConnectionError: [Errno -3] Temporary failure in name resolution': /simple/torch/",
      "ERROR: Could not find a version that satisfies the requirement torch==2.15.0 (from versions: none)",
      "ERROR: No matching distribution found for torch==2.15.0",
    ].join("\n");
    const error = pipFault(output, 1, "torch 2.15.0");
    expect([error.kind, error.message]).toEqual([
      "system",
      expect.stringContaining("pip: must reach its package index"),
    ]);
    expect(error.message).toContain("patchdrop setup --from FILE.zip");
  });

  test("no such version", () => {
    const output = [
      "ERROR: Could not find a version that satisfies the requirement torch==2.99.0 (from versions: 2.14.0, 2.15.0)",
      "ERROR: No matching distribution found for torch==2.99.0",
    ].join("\n");
    const error = pipFault(output, 1, "torch 2.99.0");
    expect([error.kind, error.exitCode]).toEqual(["input", 3]);
    expect(error.message).toContain(
      "torch 2.99.0 must be offered for this Python and platform, got versions 2.14.0, 2.15.0;",
    );
  });

  test("no space", () => {
    const error = pipFault(
      "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device",
      1,
      "torch 2.15.0",
    );
    expect([error.kind, error.exitCode]).toEqual(["system", 5]);
    expect(error.message).toContain("PATCHDROP_CACHE");
  });

  test("anything else", () => {
    expect(pipFault("Traceback", 2, "torch 2.15.0").message).toContain("pip: must succeed, got exit code 2;");
  });
});

describe("progress", () => {
  test("pip's lines", () => {
    const seen: SetupProgress[] = [];
    const progress = new PipProgress((now) => seen.push(now));
    for (const line of [
      "Collecting torch==2.15.0",
      "  Downloading torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl.metadata (30 kB)",
      "Downloading torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl (539.1 MB)",
      "Progress 1000 of 539100000",
      "Installing collected packages: torch",
    ]) {
      progress.read(line);
    }
    expect(seen).toEqual([
      { step: "asking the package index" },
      { step: "fetching torch 2.15.0 (539.1 MB)" },
      { step: "fetching torch 2.15.0 (539.1 MB)", done: 1000, total: 539100000 },
      { step: "unpacking" },
    ]);
  });

  test("of an old pip, by the growing file", () => {
    const seen: SetupProgress[] = [];
    const progress = new PipProgress((now) => seen.push(now));
    progress.received(1);
    progress.read("  Downloading nvidia_cuda_cupti-13.0.85-py3-none-manylinux_2_25_x86_64.whl (10.7 MB)");
    progress.received(5_000_000);
    progress.received(10_750_000);
    expect(seen.slice(2).map(({ done, total }) => [done, total])).toEqual([
      [5e6, 10.7e6],
      [10.7e6, 10.7e6],
    ]);
  });

  const printed = (isTTY: boolean) => {
    const chunks: string[] = [];
    const show = progressPrinter({ isTTY, write: (chunk: string | Uint8Array) => chunks.push(String(chunk)) > 0 });
    show.update({ step: "fetching" });
    show.update({ step: "fetching", done: 1, total: 100 });
    show.update({ step: "fetching", done: 100, total: 100 });
    show.update({ step: "fetching", done: 100, total: 100 });
    show.update({ step: "checking" });
    show.end();
    return chunks.join("");
  };

  test("in a log: a line a step and one at its end, not one a chunk", () => {
    expect(printed(false)).toBe("setup: fetching\nsetup: fetching 100 %\nsetup: checking\n");
  });

  test("on a terminal: one line that is drawn again", () => {
    expect(printed(true)).toBe("\rsetup: fetching\x1b[K\rsetup: fetching 100 %\x1b[K\nsetup: checking\x1b[K\n");
  });
});
