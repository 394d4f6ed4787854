/**
 * Writes src/setup/torch-checksums.ts: the SHA-256 of the wheels that `patchdrop setup` fetches by default and in CI, as the
 * package index has them. pip is asked for each Python and platform; nothing is installed, nor downloaded beyond metadata.
 *
 *     node scripts/torch-checksums.mjs [PYTHON]
 */
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const versions = ["2.11.0", "2.15.0"];
const pythons = ["3.10", "3.11", "3.12", "3.13", "3.14"];
/** Newest first: a version has wheels for one of each platform's. */
const platforms = {
  "linux-x64": ["manylinux_2_28_x86_64"],
  "linux-arm64": ["manylinux_2_28_aarch64"],
  "darwin-arm64": ["macosx_14_0_arm64", "macosx_11_0_arm64"],
};

const python = process.argv[2] ?? "python3";
const folder = mkdtempSync(join(tmpdir(), "torch-checksums-"));
const found = [];
for (const version of versions) {
  for (const [platform, tags] of Object.entries(platforms)) {
    for (const one of pythons) found.push(...wheel(version, one, platform, tags));
  }
}
rmSync(folder, { recursive: true });
writeFileSync(
  new URL("../src/setup/torch-checksums.ts", import.meta.url),
  `/** Written by scripts/torch-checksums.mjs: the SHA-256 of PyTorch's wheels, by their file names. */
export const torchChecksums: Readonly<Record<string, string | undefined>> = {
${found.map(([name, sha256]) => `  "${name}":\n    "${sha256}",\n`).join("")}};
`,
);

function wheel(version, one, platform, tags) {
  const report = join(folder, "report.json");
  const which = ["--python-version", one, ...tags.flatMap((tag) => ["--platform", tag]), `torch==${version}`];
  const only = ["--no-deps", "--only-binary", ":all:", "--ignore-installed", "--target", join(folder, "none")];
  try {
    execFileSync(python, ["-m", "pip", "install", "--dry-run", "--quiet", ...only, "--report", report, ...which], {
      stdio: ["ignore", "ignore", "pipe"],
    });
  } catch (error) {
    process.stderr.write(`torch ${version}, Python ${one}, ${platform}: ${String(error.stderr).split("\n")[0]}\n`);
    return [];
  }
  const [{ download_info: info }] = JSON.parse(readFileSync(report, "utf8")).install;
  const name = decodeURIComponent(new URL(info.url).pathname.split("/").at(-1));
  process.stderr.write(`${name}\n`);
  return [[name, info.archive_info.hashes.sha256]];
}
