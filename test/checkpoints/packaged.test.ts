/** The trained checkpoints that come with the program: what they hold, what is said of them, how they are named. */
import { cpSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { configOfCheckpoint, openCheckpoint, pathOfCheckpoint } from "../../src/checkpoints/open-checkpoint.ts";
import { packagedFolder, packagedLines, packagedNames, placeOf } from "../../src/checkpoints/packaged.ts";
import { readChoice } from "../../src/checkpoints/stored-choice.ts";
import { readConfidence } from "../../src/checkpoints/stored-confidence.ts";
import { finiteFloat32 } from "../../src/formats/safetensors.ts";
import { refusal } from "../refusal.ts";
import { temporaryFolder } from "../temporary-folder.ts";

/** Accuracy in %, and patches an image, of the test images: docs/results.md, and the cards of models/. */
const figures = { cifar10: ["83.8 %", "8.03"], aid: ["94.5 %", "4.21"] } as const;

describe.each(packagedNames)("patchdrop:%s", (name) => {
  const folder = packagedFolder(name);
  const files = readdirSync(folder);
  const card = readFileSync(join(folder, "README.md"), "utf8");

  it("is opened by its name: a classifier, and a policy in four rounds", () => {
    const { networks, optimizer, config, path } = openCheckpoint(`patchdrop:${name}`);
    expect([...networks.keys()]).toEqual(["agent", "resnet_hr"]);
    expect(optimizer.size).toBe(0);
    expect(path).toBe(folder);
    expect(pathOfCheckpoint(`patchdrop:${name}`)).toBe(folder);
    expect(configOfCheckpoint(`patchdrop:${name}`)).toEqual(config);
    expect(config.description).toMatchObject({ rounds: 4, fill: "lr", policyHead: "map" });
    expect(config.description?.classes.length).toBe({ cifar10: 10, aid: 30 }[name]);
    for (const [network, state] of networks) {
      for (const [tensor, data] of state) if (data.dtype !== "I64") finiteFloat32(data, `${network}: ${tensor}`);
    }
  });

  it("has a choice that was calibrated for these weights, whose figures the card has", () => {
    for (const figure of figures[name]) expect(card).toContain(figure);
    const choice = readChoice(folder)!;
    const { accuracy, patches } = choice.evaluated;
    expect([`${(100 * accuracy).toFixed(1)} %`, patches.toFixed(2)]).toEqual(figures[name]);
    expect(choice.dataset).toBe(name);
  });

  it("has a confidence that was calibrated for these weights, on held-out images", () => {
    const { fill, tta, calibrated, dataset } = readConfidence(folder)!;
    expect({ fill, tta, dataset, split: calibrated.split }).toEqual({
      fill: "lr",
      tta: false,
      dataset: name,
      split: "val",
    });
    // What the temperature is for: it says as often as it is right.
    expect(Math.abs(calibrated.confidence - calibrated.accuracy)).toBeLessThan(
      Math.abs(calibrated.said - calibrated.accuracy),
    );
  });

  it("has a card that says of what it was made, under which licence, and what it can't do", () => {
    const headings = [...card.matchAll(/^## (.+)$/gm)].map(([, heading]) => heading);
    expect(headings).toEqual(["Use", "Figures", "Data", "How it was made", "Licence", "Limits"]);
  });

  it("is small, and knows nothing of the machine that made it", () => {
    const records = ["choice.json", "confidence.json", "state.json"];
    const needed = ["README.md", "agent.safetensors", "resnet_hr.safetensors", ...records].sort();
    expect(files.sort()).toEqual(needed);
    expect(files.reduce((sum, file) => sum + statSync(join(folder, file)).size, 0)).toBeLessThan(8_000_000);
    for (const file of files) {
      // A path from a root, and not a part of an address or of a relative path.
      const text = readFileSync(join(folder, file), "latin1");
      expect(text, file).not.toMatch(/(?<![\w.:/-])\/(tmp|home|work|root|Users|mnt)\b/);
    }
  });

  it("is refused when a bit of its weights has changed", ({ onTestFinished }) => {
    const copy = join(temporaryFolder(onTestFinished), name);
    cpSync(folder, copy, { recursive: true });
    const file = join(copy, "agent.safetensors");
    const bytes = readFileSync(file);
    bytes[bytes.length - 1] ^= 1;
    writeFileSync(file, bytes);
    expect(refusal(() => openCheckpoint(copy)).message).toMatch(
      /agent\.safetensors: must have the SHA-256 [0-9a-f]{64}, got [0-9a-f]{64}; use another checkpoint$/,
    );
  });
});

it("names those that there are when a name is none of them", () => {
  for (const name of ["patchdrop:cifar", "patchdrop:", "patchdrop:../docs", "patchdrop:toString"]) {
    const { kind, message } = refusal(() => openCheckpoint(name));
    expect(kind).toBe("input");
    expect(message).toBe(
      `${name}: must be patchdrop:cifar10 or patchdrop:aid; see patchdrop models, or give a run folder or a checkpoint`,
    );
  }
});

it("leaves other paths alone, and a folder of that name can be given by another path", () => {
  for (const path of ["runs/finetune", "cifar10", "./patchdrop:cifar10"]) expect(placeOf(path)).toBe(path);
});

it("lists each with its accuracy and its card", () => {
  expect(packagedLines()[0]).toBe(
    `patchdrop:cifar10\n  CIFAR-10 in up to four rounds: 82.5 % with 6.0 of 16 patches, 83.8 % with 8.0, 84.5 % with all\n  ${packagedFolder("cifar10")}/README.md\n`,
  );
});
