/** Ways to write a command line, each beside what the commands' parser is given. */
import { Command } from "commander";
import { expect, it } from "vitest";
import { understood } from "../../src/cli/arguments.ts";

const program = new Command("program").option("--debug");
program.command("train").option("--cv_dir <folder>").option("--no_cuda_graph").option("--torch_version <v>");
program.command("data").addCommand(new Command("fmow").argument("[folder]").option("--skip_bad <n>"));

it.each<[string, string]>([
  ["train --cv-dir=a-b --no-cuda-graph", "train --cv_dir=a-b --no_cuda_graph"],
  ["train --no-cuda_graph", "train --no_cuda_graph"],
  ["train --cv_dir x-y", "train --cv_dir x-y"],
  ["train --torch-version 2", "train --torch_version 2"],
  ["train --un-known 2", "train --un-known 2"],
  ["data fmow --skip-bad 1", "data fmow --skip_bad 1"],
  ["help", "--help"],
  ["help train", "train --help"],
  ["help data fmow", "data fmow --help"],
  ["--debug help train", "--debug train --help"],
  ["train help", "train help"],
  ["--help", "--help"],
  ["train --help", "train --help"],
  ["data fmow some-folder --help", "data fmow some-folder --help"],
  ["trian --help", "trian"],
  ["-h trian --cv-dir x", "trian --cv_dir x"],
  ["help trian", "trian"],
  ["data fmwo --help", "data fmwo"],
])("%s", (words, expected) => {
  expect(understood(program, words.split(" ")).join(" ")).toBe(expected);
});
