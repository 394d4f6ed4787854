import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import fc from "fast-check";
import { beforeEach, describe, expect, onTestFinished, test } from "vitest";
import { BadLibrary, readLibraryHeaders } from "../../src/native/binary.ts";
import { type FindOptions, findLibtorch, searchLibtorch } from "../../src/native/find.ts";
import { refusal } from "../refusal.ts";
import { elf, fakePython, machO, platform, suffix, writeFake, writeFileAt } from "../setup/fake-libtorch.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** Nothing on PATH, an empty cache: only what a test adds can be found. */
let folder: string;
let env: NodeJS.ProcessEnv;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
  env = { PATH: "/nonexistent", PATCHDROP_CACHE: path.join(folder, "cache") };
});

const cached = (name: string) => path.join(folder, "cache", "libtorch", name);

const errorOf = (options: FindOptions) => refusal(() => findLibtorch(options));

describe("a path that is named", () => {
  test.each([
    ["the torch package", "site/torch", "site/torch"],
    ["a folder with the torch package", "site/torch", "site"],
    ["its lib", "site/torch", "site/torch/lib"],
  ])("may be %s", (_, root, named) => {
    writeFake(path.join(folder, root), { version: "2.15.0+cu132" });
    expect(findLibtorch({ torch: path.join(folder, named), env })).toEqual({
      root: path.join(folder, root),
      libDir: path.join(folder, root, "lib"),
      version: "2.15.0+cu132",
      cuda: false,
      source: "--torch",
      tried: [],
    });
  });

  test.each([["x/libtorch"], ["x"], ["x/libtorch/lib"]])("may be the archive's %s", (named) => {
    writeFake(path.join(folder, "x/libtorch"), { layout: "archive", version: "2.10.0+cpu" });
    const found = findLibtorch({ env: { ...env, PATCHDROP_TORCH: path.join(folder, named) } });
    expect(found).toMatchObject({
      root: path.join(folder, "x/libtorch"),
      version: "2.10.0+cpu",
      source: "PATCHDROP_TORCH",
    });
  });

  test("by --torch wins over PATCHDROP_TORCH", () => {
    const [flag, variable] = ["a", "b"].map((name) => writeFake(path.join(folder, name)));
    expect(findLibtorch({ torch: flag, env: { ...env, PATCHDROP_TORCH: variable } }).root).toBe(flag);
  });

  test("is never passed over: a good cache does not help a bad path", () => {
    writeFake(path.join(cached(`2.15.0-cpu-${platform}`), "torch"));
    expect(findLibtorch({ env }).source).toBe("cache");
    const error = errorOf({ env: { ...env, PATCHDROP_TORCH: path.join(folder, "absent") } });
    expect(error.exitCode).toBe(3);
    expect(error.message).toBe(
      `PATCHDROP_TORCH: must be a folder with PyTorch's or LibTorch's libraries, but ${folder}/absent does not exist; ` +
        "correct the path, or leave PATCHDROP_TORCH out and run `patchdrop setup`",
    );
  });

  test.each(["2.9.1", "1.13.0", "3.0.0", "2.1.0"])("of version %s is refused", (version) => {
    const torch = writeFake(path.join(folder, "torch"), { version });
    expect(errorOf({ torch, env }).message).toContain(`is PyTorch ${version}; 2.10 or newer (below 3) is needed`);
  });

  test("without a version is refused", () => {
    const torch = writeFake(path.join(folder, "torch"));
    writeFileSync(path.join(torch, "version.py"), "__version__ = compute()\n");
    expect(errorOf({ torch, env }).message).toContain("states no version");
  });

  test("whose libc10 is missing is refused", () => {
    const torch = writeFake(path.join(folder, "torch"));
    rmSync(path.join(torch, `lib/libc10${suffix}`));
    expect(errorOf({ torch, env }).message).toContain(`libc10${suffix} is missing`);
  });

  const otherMachine = process.arch === "arm64" ? 62 : 183;
  test.each([
    ["empty", Buffer.alloc(0), "is empty (half copied?)"],
    ["cut in the header", elf().subarray(0, 40), "is cut short at 40 bytes"],
    ["cut in a segment", elf().subarray(0, -1), "is cut short"],
    ["text", Buffer.from("version https://git-lfs.github.com/spec/v1\n"), "is not a shared library"],
    ["of another processor", elf({ machine: otherMachine }), "is for another processor"],
  ])("whose libtorch_cpu is %s is refused", (_, cpu, why) => {
    const torch = writeFake(path.join(folder, "torch"), { cpu });
    expect(errorOf({ torch, env }).message).toContain(`libtorch_cpu${suffix} ${why}`);
  });
});

describe.runIf(process.platform === "linux")("libraries that libtorch needs", () => {
  const cpu = elf({
    needed: ["libc.so.6", "libcudart.so.99", "libcuda.so.1"],
    runpath: "/nonexistent:$ORIGIN/../../nvidia/cu99/lib",
  });

  test("must be there when they come with PyTorch; the system's and the driver's are not looked for", () => {
    const torch = writeFake(path.join(folder, "torch"), { cpu });
    expect(errorOf({ torch, env }).message).toContain("libtorch_cpu.so needs libcudart.so.99, not found;");
  });

  test("are searched along the library's own path", () => {
    const torch = writeFake(path.join(folder, "torch"), { cpu });
    writeFileAt(path.join(folder, "nvidia/cu99/lib/libcudart.so.99"), elf());
    expect(findLibtorch({ torch, env }).root).toBe(torch);
  });

  test("decide whether CUDA can be used", () => {
    const torch = writeFake(path.join(folder, "torch"), { cuda: true });
    expect(findLibtorch({ torch, env }).cuda).toBe(true);
    writeFileSync(path.join(torch, "lib/libtorch_cuda.so"), elf({ needed: ["libcudnn.so.99"] }));
    expect(findLibtorch({ torch, env }).cuda).toBe(false);
  });
});

describe("the active Python", () => {
  test("is the virtual environment's, and its torch comes before the cache", () => {
    const torch = writeFake(path.join(folder, "venv/lib/python3.12/site-packages/torch"));
    writeFake(path.join(cached(`2.15.0-cpu-${platform}`), "torch"));
    const VIRTUAL_ENV = fakePython(path.join(folder, "venv"), `echo '${torch}/__init__.py'`);
    expect(findLibtorch({ env: { ...env, VIRTUAL_ENV } })).toMatchObject({ root: torch, source: "python", tried: [] });
  });

  test("with a torch that is too old is passed over, and says why", () => {
    const torch = writeFake(path.join(folder, "site/torch"), { version: "2.4.1" });
    const inCache = writeFake(path.join(cached(`2.15.0-cpu-${platform}`), "torch"));
    const VIRTUAL_ENV = fakePython(path.join(folder, "venv"), `echo '${torch}/__init__.py'`);
    const found = findLibtorch({ env: { ...env, VIRTUAL_ENV } });
    expect(found.root).toBe(inCache);
    expect(found.tried).toEqual([
      { source: "python", path: torch, why: "is PyTorch 2.4.1; 2.10 or newer (below 3) is needed" },
    ]);
  });

  test.each([
    ["has no torch package", "echo"],
    ["failed with exit code 7", "exit 7"],
    ["did not answer within 2000 ms", "exec /bin/sleep 20"],
  ])("that %s is a place tried", (why, script) => {
    const VIRTUAL_ENV = fakePython(path.join(folder, "venv"), script);
    expect(searchLibtorch({ env: { ...env, VIRTUAL_ENV } }).tried[0]).toEqual({
      source: "python",
      path: path.join(folder, "venv/bin/python3"),
      why,
    });
  });

  test("is started where no data folder can offer it a module", () => {
    const VIRTUAL_ENV = fakePython(path.join(folder, "venv"), `pwd > '${folder}/cwd'`);
    searchLibtorch({ env: { ...env, VIRTUAL_ENV } });
    expect(readFileSync(path.join(folder, "cwd"), "utf8")).toBe("/\n");
  });
});

describe("the cache", () => {
  test("offers its newest version, by number and not by letter, and CUDA first", () => {
    const names = ["2.9.0-cpu", "2.15.0-cpu", "2.15.0-cuda", "2.11.0-cpu"].map((name) => `${name}-${platform}`);
    for (const name of names) writeFake(path.join(cached(name), "torch"), { version: name.split("-")[0] });
    expect(path.basename(path.dirname(findLibtorch({ env }).root))).toBe(`2.15.0-cuda-${platform}`);
    rmSync(cached(names[2]), { recursive: true });
    expect(findLibtorch({ env }).version).toBe("2.15.0");
    rmSync(cached(names[1]), { recursive: true });
    expect(findLibtorch({ env }).version).toBe("2.11.0");
  });

  test("passes over what is temporary, of another platform, or broken", () => {
    writeFake(path.join(cached(`.temporary-1-${platform}`), "torch"));
    writeFake(path.join(cached("2.15.0-cpu-plan9-x64"), "torch"));
    writeFake(path.join(cached(`2.14.0-cpu-${platform}`), "torch"), { cpu: Buffer.alloc(0) });
    const { found, tried } = searchLibtorch({ env });
    expect(found).toBeUndefined();
    expect(tried.slice(1)).toEqual([
      { source: "cache", path: cached(`2.14.0-cpu-${platform}`), why: `libtorch_cpu${suffix} is empty (half copied?)` },
    ]);
  });
});

test("nothing anywhere: every place is named, and the command that helps", () => {
  const error = errorOf({ env });
  expect(error.kind).toBe("input");
  expect(error.message.split("\n")).toEqual([
    "libtorch: PyTorch 2.10 or newer (below 3) must be on this machine, got none at the 2 places tried; " +
      "run `patchdrop setup` to fetch it, or give one with --torch PATH",
    "  python: python3 is not installed",
    `  cache: ${folder}/cache/libtorch holds nothing for this platform`,
  ]);
});

describe("headers of untrusted files", () => {
  const read = (bytes: Uint8Array, arch: string) => {
    const file = path.join(temporaryFolder(onTestFinished), "library");
    writeFileSync(file, bytes);
    return readLibraryHeaders(file, arch);
  };

  test("ELF: names of the libraries and the search path", () => {
    const file = elf({ machine: 183, needed: ["liba.so", "libb.so.1"], runpath: "$ORIGIN:/opt/x" });
    expect(read(file, "arm64")).toEqual({ needed: ["liba.so", "libb.so.1"], searchPath: ["$ORIGIN", "/opt/x"] });
  });

  test("Mach-O: processor and length, thin and universal", () => {
    const thin = machO("arm64");
    expect(read(thin, "arm64")).toEqual({ needed: [], searchPath: [] });
    expect(() => read(thin, "x64")).toThrow("is for another processor, not x64");
    expect(() => read(thin.subarray(0, -1), "arm64")).toThrow("is cut short");
    const table = Buffer.alloc(28);
    [0xcafebabe, 1, 0x0100000c, 0, table.length, thin.length].forEach(
      (value, i) => void table.writeUInt32BE(value, 4 * i),
    );
    expect(read(Buffer.concat([table, thin]), "arm64")).toEqual({ needed: [], searchPath: [] });
    expect(() => read(Buffer.concat([table, thin]), "x64")).toThrow("is for another processor, not x64");
  });

  test("any damage is a BadLibrary with a reason, or harmless: never another error, never a huge read", () => {
    const whole = elf({ machine: 62, needed: ["libcudart.so.13"], runpath: "$ORIGIN" });
    const file = path.join(temporaryFolder(onTestFinished), "library");
    fc.assert(
      fc.property(fc.nat(whole.length - 1), fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, damage) => {
        const bytes = Buffer.from(whole);
        bytes.set(damage.subarray(0, bytes.length - at), at);
        writeFileSync(file, bytes);
        try {
          readLibraryHeaders(file, "x64");
        } catch (error) {
          expect(error).toBeInstanceOf(BadLibrary);
        }
      }),
      { numRuns: 500 },
    );
  });
});
