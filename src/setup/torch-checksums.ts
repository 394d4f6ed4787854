/** Written by scripts/torch-checksums.mjs: the SHA-256 of PyTorch's wheels, by their file names. */
export const torchChecksums: Readonly<Record<string, string | undefined>> = {
  "torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl":
    "6d8c86f4e33a9f12a58149bd9b0d64351632b8eb44479be8ff85e5389932dd79",
};
