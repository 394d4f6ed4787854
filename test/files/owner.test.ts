/** Temporary files of processes that have ended are removed by the next writer, and no others. */
import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { makeFolderAtomic, writeFileAtomic } from "../../src/files/atomic.ts";
import { hasEnded, ownerMark } from "../../src/files/owner.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** A process that has ended and been waited for. */
function deadPid(): number {
  return spawnSync(process.execPath, ["-e", ""]).pid;
}

/** The mark that a process had, made while it was alive. */
async function markOfEnded(): Promise<string> {
  const child = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]);
  const mark = ownerMark(child.pid);
  expect(hasEnded(mark)).toBe(false);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  return mark;
}

it("a mark tells a living process from one that has ended, and says nothing of others", async () => {
  const own = ownerMark();
  const [where, pid, start] = own.split(".");
  expect(own).toMatch(/^[0-9a-f]{8}\.\d+\.[0-9a-f]{8}$/);
  expect(pid).toBe(String(process.pid));
  expect(hasEnded(own)).toBe(false);
  expect(hasEnded(await markOfEnded())).toBe(true);
  expect(hasEnded(`${where}.${deadPid()}.${start}`)).toBe(true);
  // Elsewhere, or not a mark at all.
  expect(hasEnded(`ffffffff.${deadPid()}.${start}`)).toBe(false);
  for (const mark of ["", "x", `${where}.0.${start}`, `${where}.-1.${start}`]) expect(hasEnded(mark)).toBe(false);
});

it.runIf(existsSync("/proc/self/stat"))(
  "a process that its parent has not heard of yet has ended all the same",
  async () => {
    // What the shell becomes waits for no child.
    const parent = spawn("sh", ["-c", "sleep 0 & echo $!; exec sleep 60"], { stdio: ["ignore", "pipe", "ignore"] });
    onTestFinished(() => void parent.kill("SIGKILL"));
    const pid = await new Promise<string>((resolve) =>
      parent.stdout.once("data", (text) => resolve(String(text).trim())),
    );
    const state = () => /\) (\S)/.exec(readFileSync(`/proc/${pid}/stat`, "latin1"))![1];
    while (state() !== "Z") await new Promise((resolve) => setTimeout(resolve, 10));
    expect(hasEnded(ownerMark(Number(pid)))).toBe(true);
  },
);

it.runIf(existsSync("/proc/self/stat"))("an id that went to another process is not taken for the old one", () => {
  const [where, pid] = ownerMark().split(".");
  expect(hasEnded(`${where}.${pid}.12345678`)).toBe(true);
  // Where the start was not known, the id must do.
  expect(hasEnded(`${where}.${pid}.00000000`)).toBe(false);
});

it("the next writer clears what the dead left, and only that", async () => {
  const folder = temporaryFolder(onTestFinished);
  const dead = await markOfEnded();
  const elsewhere = `ffffffff.${dead.split(".").slice(1).join(".")}`;
  const kept = [
    `.patchdrop-tmp-a-${ownerMark()}-0123abcd`,
    `.patchdrop-tmp-a-${elsewhere}-0123abcd`,
    ".patchdrop-tmp-a-0a1b2c3d-1111-4222-8333-444455556666",
    `.patchdrop-tmp-.lock-after-${"0".repeat(32)}`,
    `mine-${dead}-0123abcd`,
  ];
  for (const name of kept) writeFileSync(join(folder, name), "kept");
  mkdirSync(join(folder, `.patchdrop-tmp-acquired-${dead}-0123abcd/deep`), { recursive: true });
  writeFileSync(join(folder, `.patchdrop-tmp-acquired-${dead}-0123abcd/deep/big`), "x");
  writeFileSync(join(folder, `.patchdrop-tmp-page-1.html-${dead}-89abcdef`), "x");
  // A link is removed, not what it leads to.
  symlinkSync(join(folder, kept[4]), join(folder, `.patchdrop-tmp-last-${dead}-89abcdef`));
  writeFileAtomic(join(folder, "page.html"), new Uint8Array(1));
  expect(readdirSync(folder).sort()).toEqual([...kept, "page.html"].sort());
  expect(readFileSync(join(folder, kept[4]), "utf8")).toBe("kept");
});

it("a folder that was being made by a process that was killed goes when the next one is made", async () => {
  const folder = temporaryFolder(onTestFinished);
  const script = `
    import { makeFolderAtomic } from ${JSON.stringify(new URL("../../src/files/atomic.ts", import.meta.url).href)};
    await makeFolderAtomic(${JSON.stringify(join(folder, "out"))}, async () => {
      console.log("begun");
      await new Promise(() => setInterval(() => {}, 1000));
    });`;
  const child = spawn(process.execPath, ["--import", "tsx", "--input-type=module", "-e", script]);
  await new Promise((resolve) => child.stdout.once("data", resolve));
  expect(readdirSync(folder)).toEqual([expect.stringMatching(/^\.patchdrop-tmp-out-/)]);
  const ended = new Promise((resolve) => child.on("exit", resolve));
  child.kill("SIGKILL");
  await ended;
  expect(readdirSync(folder)).toHaveLength(1);
  await makeFolderAtomic(join(folder, "out"), async (temporary) => writeFileSync(join(temporary, "a"), ""));
  expect(readdirSync(folder)).toEqual(["out"]);
});
