/** Written by scripts/torch-checksums.mjs: the SHA-256 of PyTorch's wheels, by their file names. */
export const torchChecksums: Readonly<Record<string, string | undefined>> = {
  "torch-2.11.0-cp310-cp310-manylinux_2_28_x86_64.whl":
    "1b32ceda909818a03b112006709b02be1877240c31750a8d9c6b7bf5f2d8a6e5",
  "torch-2.11.0-cp311-cp311-manylinux_2_28_x86_64.whl":
    "7aa2f9bbc6d4595ba72138026b2074be1233186150e9292865e04b7a63b8c67a",
  "torch-2.11.0-cp312-cp312-manylinux_2_28_x86_64.whl":
    "0f68f4ac6d95d12e896c3b7a912b5871619542ec54d3649cf48cc1edd4dd2756",
  "torch-2.11.0-cp313-cp313-manylinux_2_28_x86_64.whl":
    "cc89b9b173d9adfab59fd227f0ab5e5516d9a52b658ae41d64e59d2e55a418db",
  "torch-2.11.0-cp314-cp314-manylinux_2_28_x86_64.whl":
    "4dc8b3809469b6c30b411bb8c4cad3828efd26236153d9beb6a3ec500f211a60",
  "torch-2.11.0-cp310-cp310-manylinux_2_28_aarch64.whl":
    "4cf8687f4aec3900f748d553483ef40e0ac38411c3c48d0a86a438f6d7a99b18",
  "torch-2.11.0-cp311-cp311-manylinux_2_28_aarch64.whl":
    "d91aac77f24082809d2c5a93f52a5f085032740a1ebc9252a7b052ef5a4fddc6",
  "torch-2.11.0-cp312-cp312-manylinux_2_28_aarch64.whl":
    "f99924682ef0aa6a4ab3b1b76f40dc6e273fca09f367d15a524266db100a723f",
  "torch-2.11.0-cp313-cp313-manylinux_2_28_aarch64.whl":
    "63a68fa59de8f87acc7e85a5478bb2dddbb3392b7593ec3e78827c793c4b73fd",
  "torch-2.11.0-cp314-cp314-manylinux_2_28_aarch64.whl":
    "2bb3cc54bd0dea126b0060bb1ec9de0f9c7f7342d93d436646516b0330cd5be7",
  "torch-2.11.0-cp310-cp310-macosx_11_0_arm64.whl": "2c0d7fcfbc0c4e8bb5ebc3907cbc0c6a0da1b8f82b1fc6e14e914fa0b9baf74e",
  "torch-2.11.0-cp311-cp311-macosx_11_0_arm64.whl": "7b6a60d48062809f58595509c524b88e6ddec3ebe25833d6462eeab81e5f2ce4",
  "torch-2.11.0-cp312-cp312-macosx_11_0_arm64.whl": "4b5866312ee6e52ea625cd211dcb97d6a2cdc1131a5f15cc0d87eec948f6dd34",
  "torch-2.11.0-cp313-cp313-macosx_11_0_arm64.whl": "1e6debd97ccd3205bbb37eb806a9d8219e1139d15419982c09e23ef7d4369d18",
  "torch-2.11.0-cp314-cp314-macosx_11_0_arm64.whl": "01018087326984a33b64e04c8cb5c2795f9120e0d775ada1f6638840227b04d7",
  "torch-2.15.0-cp311-cp311-manylinux_2_28_x86_64.whl":
    "48c2d861134c0b5697c7602cb5ffa68f62a2989fdcd1717e593356f67996ca1e",
  "torch-2.15.0-cp312-cp312-manylinux_2_28_x86_64.whl":
    "6d8c86f4e33a9f12a58149bd9b0d64351632b8eb44479be8ff85e5389932dd79",
  "torch-2.15.0-cp313-cp313-manylinux_2_28_x86_64.whl":
    "241fea2bac4ed8351307cd13eca5020fbe231f990891be299cf683897caebfbc",
  "torch-2.15.0-cp314-cp314-manylinux_2_28_x86_64.whl":
    "1412c79b0338ea61fa31e74a59d74e412c56307e226d3c6e61ccd6d4613ffc3f",
  "torch-2.15.0-cp311-cp311-manylinux_2_28_aarch64.whl":
    "58ce2ebfb3430941353109a85be63ee8e941da22f13daa2c43344eeb51c81e06",
  "torch-2.15.0-cp312-cp312-manylinux_2_28_aarch64.whl":
    "9e51cf9460c5441dcd2a4f31ece207e35ea7c3d2535be0f929cca4944e2eeb18",
  "torch-2.15.0-cp313-cp313-manylinux_2_28_aarch64.whl":
    "a46cf67c6b574311ecdc24364a5c3a694c60dd3619043f594cfebb8f0b283ea4",
  "torch-2.15.0-cp314-cp314-manylinux_2_28_aarch64.whl":
    "59c3a521000ab76a11785276b3d56752e03ca2751658798a94c8f1032f93cf41",
  "torch-2.15.0-cp311-cp311-macosx_14_0_arm64.whl": "e808b63d616a43b326e1a5677d45a2e5babe7a8ce27edb03ddb48e7dd9b6d663",
  "torch-2.15.0-cp312-cp312-macosx_14_0_arm64.whl": "593e5fd0c204284890d1c3dff643be34e549e1d24523e13402510f960d4da438",
  "torch-2.15.0-cp313-cp313-macosx_14_0_arm64.whl": "fbefd73b521d3c75c5a1d7c77056b2c6339b81468d14d4e33c55f525418a5855",
  "torch-2.15.0-cp314-cp314-macosx_14_0_arm64.whl": "0d2b2d9674fa0b9b3f50e83231aa6545a0b19e437a52f0af939a224faaa45515",
};
