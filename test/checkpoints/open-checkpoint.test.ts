/** Which network of a checkpoint is meant, which checkpoint of a folder, and what names its weights. */

import { createHash } from "node:crypto";
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { beforeEach, describe, expect, it } from "vitest";
import { weightsHash } from "../../src/checkpoints/beside-weights.ts";
import { compareConfigs } from "../../src/checkpoints/compare-configs.ts";
import { networksHash, shortHash } from "../../src/checkpoints/networks-hash.ts";
import {
  configOfCheckpoint,
  networkOf,
  openCheckpoint,
  pathOfCheckpoint,
  savedNetwork,
} from "../../src/checkpoints/open-checkpoint.ts";
import type { RunConfig } from "../../src/checkpoints/run-config.ts";
import { linkedName, listCheckpoints } from "../../src/checkpoints/saved-checkpoints.ts";
import type { JsonObject } from "../../src/files/json.ts";
import { RunFolder } from "../../src/run/run-folder.ts";
import { refusal } from "../refusal.ts";
import { config, save, savedConfig, state } from "../run/example.ts";
import { temporaryFolder } from "../temporary-folder.ts";

let folder: string;
beforeEach((context) => {
  folder = temporaryFolder(context.onTestFinished);
});

const at = (...names: string[]) => join(folder, ...names);

/** A closed run with these checkpoints. */
function runWith(...steps: number[]): void {
  const run = RunFolder.create(at("run"), config);
  for (const step of steps) run.save(save(step));
  run.close();
}

describe("openCheckpoint", () => {
  it("gives what the folder holds, without the run's record", () => {
    runWith(1);
    const path = at("run", "checkpoints", save(1).name);
    const { networks, optimizer, progress } = save(1);
    expect(openCheckpoint(path)).toEqual({
      path,
      networks,
      optimizer,
      progress,
      config: { ...savedConfig, created: expect.any(String) },
    });
  });

  it("says of an exported run what opens it", () => {
    mkdirSync(at("onnx"));
    writeFileSync(at("onnx", "classifier.onnx"), "");
    const next = "give --engine onnx to predict or acquire, or the run that was exported";
    expect(refusal(() => openCheckpoint(at("onnx"))).message).toBe(`${at("onnx")}: holds exported models; ${next}`);
    const [file, folder] = [at("onnx", "classifier.onnx"), next.replace("give", "give its folder with")];
    expect(refusal(() => openCheckpoint(file)).message).toBe(`${file}: is an exported model; ${folder}`);
  });

  it("knows a run folder by its configuration or its checkpoints", () => {
    const message = () => refusal(() => openCheckpoint(at("run"))).message;
    mkdirSync(at("run"));
    expect(message()).toContain("is neither a run folder (no config.json) nor a checkpoint (no state.json); ");
    writeFileSync(at("run", "config.json"), "{}");
    expect(message()).toBe(`${at("run")}: the run has made no checkpoint yet; let it train longer`);
    rmSync(at("run", "config.json"));
    mkdirSync(at("run", "checkpoints"));
    expect(message()).toBe(`${at("run")}: the run has made no checkpoint yet; let it train longer`);
  });

  it("refuses a run folder whose configuration was changed, and not a checkpoint in it", () => {
    runWith(1);
    const file = at("run", "config.json");
    const text = readFileSync(file, "utf8");
    writeFileSync(file, text.replace(/"created": "2/, '"created": "3'));
    const checkpoint = at("run", "checkpoints", save(1).name);
    const next = `restore it: state.json of a checkpoint holds the same as config; or name a checkpoint by itself, such as ${checkpoint}`;
    for (const open of [openCheckpoint, configOfCheckpoint, pathOfCheckpoint]) {
      expect(refusal(() => open(at("run"))).message).toBe(`${file}: does not match its own checksum; ${next}`);
      open(checkpoint);
    }
  });

  it("names the newest checkpoint of a run without links", () => {
    runWith(1, 2);
    rmSync(at("run", "last"));
    expect(refusal(() => openCheckpoint(at("run"))).message).toBe(
      `${at("run")}: the run folder has neither best nor last; give ${at("run", "checkpoints", save(2).name)}`,
    );
  });

  it("says what a path is not, and what the system did not let it look at", () => {
    writeFileSync(at("file"), "");
    const none = refusal(() => openCheckpoint(at("file", "below")));
    expect([none.kind, none.message]).toEqual([
      "input",
      `${at("file", "below")}: does not exist; give the --cv_dir of a run or one of its checkpoints`,
    ]);
    const long = refusal(() => openCheckpoint(at("x".repeat(300))));
    expect(long.kind).toBe("system");
    expect(long.message).toMatch(/x: could not be read \(ENAMETOOLONG: .*\); give a shorter name$/);
  });
});

describe("the networks of a checkpoint", () => {
  const checkpoint = (...names: string[]) => {
    runWith(1);
    return {
      ...openCheckpoint(at("run", "last")),
      path: "C",
      networks: new Map(names.map((name) => [name, state(1)])),
    };
  };

  it("are found by name, before one that has no name", () => {
    const named = { networks: new Map(Object.entries({ agent: state(1), state_dict: state(2) })) };
    const opened = { ...checkpoint(), ...named };
    expect(networkOf(opened, "agent")).toEqual(state(1));
    expect(networkOf(opened, "resnet_hr")).toEqual(state(2));
  });

  it("are named in errors as the checkpoint and the network", () => {
    expect(savedNetwork(checkpoint("agent"), "agent")).toEqual({ state: state(1), where: "C: agent" });
  });

  it("are listed where the one that is asked for is missing", () => {
    const error = refusal(() => savedNetwork(checkpoint("agent", "resnet_hr"), "resnet_lr"));
    expect([error.kind, error.message]).toEqual([
      "input",
      "C: must hold the network resnet_lr, got agent, resnet_hr; give a checkpoint of a stage that trains it",
    ]);
  });
});

describe("listCheckpoints", () => {
  it("gives them in the order of their saves, one without a state first, and leaves others out", () => {
    runWith(9, 2);
    const checkpoints = at("run", "checkpoints");
    for (const name of [".patchdrop-tmp-x", "ckpt_E_3.damaged", "zz"]) mkdirSync(join(checkpoints, name));
    expect(listCheckpoints(at("run"))).toEqual([
      { name: "zz", sequence: 0 },
      { name: save(9).name, sequence: 1 },
      { name: save(2).name, sequence: 2 },
    ]);
  });

  it("gives none of a folder without any", () => {
    expect(listCheckpoints(at("none"))).toEqual([]);
  });
});

describe("linkedName", () => {
  it("is the folder's name, and undefined where there is no link", () => {
    runWith(1);
    expect(linkedName(at("run"), "last")).toBe(save(1).name);
    expect(linkedName(at("run"), "best")).toBeUndefined();
    renameSync(at("run", "last"), at("run", "best"));
    writeFileSync(at("run", "last"), "no link");
    expect([linkedName(at("run"), "best"), linkedName(at("run"), "last")]).toEqual([save(1).name, undefined]);
  });
});

describe("networksHash", () => {
  it("is that of what sha256sum prints, sorted by name", () => {
    const files = new Map([
      ["resnet_hr", "b".repeat(64)],
      ["agent", "a".repeat(64)],
    ]);
    const printed = `${"a".repeat(64)}  agent.safetensors\n${"b".repeat(64)}  resnet_hr.safetensors\n`;
    const hash = createHash("sha256").update(printed).digest("hex");
    expect(networksHash(files)).toBe(hash);
    expect(shortHash(files)).toBe(hash.slice(0, 12));
  });
});

describe("compareConfigs", () => {
  const compared = (given: Partial<RunConfig>, own: JsonObject = {}) => {
    const options = { ...config.options, ...own };
    return compareConfigs("run", { ...savedConfig, options }, { ...config, options, ...given });
  };

  it("has nothing to say about the same run, nor about options and names that learning does not depend on", () => {
    expect(compared({})).toEqual([]);
    const options = { ...config.options, cv_dir: "elsewhere", data_dir: "moved", threads: 4, max_epochs: 300 };
    expect(compared({ options, dataset: { ...config.dataset, name: "moved" } })).toEqual([]);
  });

  it("refuses another number of epochs where the learning rate depends on it", () => {
    const own = { schedule: "onecycle", max_epochs: 10 };
    const options = { ...config.options, ...own, max_epochs: 20 };
    expect(refusal(() => compared({ options }, own)).message).toMatch(/\n {2}max_epochs: 10 → 20$/);
  });

  it("refuses a validation split that is new or another; a run that recorded none had none", () => {
    const withVal = (val: string) => compared({ dataset: { ...config.dataset, val } });
    expect(refusal(() => withVal("ef56")).message).toMatch(/\n {2}dataset\.val: null → "ef56"$/);
  });

  it("takes a run of before 0.2.0 as what it was", () => {
    const before = { reward: "quadratic" };
    const options = { ...config.options, ...before, estimator: "self_critical" };
    expect(compared({ options }, before)).toEqual([]);
    expect(() => compared({ options: { ...options, estimator: "other" } }, before)).toThrow("estimator");
    expect(() => compared({ options: { ...options, turns: true } }, before)).toThrow("turns: false → true");
  });

  it("knows a checkpoint that the run started from by its weights, wherever it lies", () => {
    runWith(1);
    const weights = weightsHash(at("run", "last"));
    const started = (is: string, was: string, starts?: RunConfig["starts"]) => {
      const options = (path: string) => ({ ...config.options, ckpt_hr_cl: path });
      const saved = { ...savedConfig, options: options(was), starts };
      return compareConfigs("run", saved, { ...config, options: options(is) });
    };
    const starts = { ckpt_hr_cl: weights };
    const [last, other] = [at("run", "last"), "elsewhere/run/last"];
    expect(started(last, other, starts)).toEqual([]);
    // One that is named as before need not be there any more.
    expect(started(other, other, starts)).toEqual([]);
    const changed = `\n  ckpt_hr_cl: "${other}" → `;
    for (const [is, of] of [
      [last, { ckpt_hr_cl: weights.replace(/./, "x") }],
      [last, { load: weights }],
      [at("none"), starts],
    ] as const) {
      expect(refusal(() => started(is, other, of)).message).toContain(changed);
    }
    // Of a run that did not record them, the path is what there is.
    expect(started(resolve(other), other)).toEqual([]);
    expect(started("./elsewhere//run/last", other)).toEqual([]);
    expect(refusal(() => started(last, other)).message).toContain(changed);
  });

  it("names an option that is new or gone, nested ones by dots", () => {
    const { lr: _, ...rest } = config.options;
    const options = { ...rest, schedule: { epochs: [150, 250], factor: 0.1, warm: { up: true } } };
    const error = refusal(() => compared({ options }));
    expect([error.kind, error.exitCode]).toEqual(["locked", 8]);
    expect(error.message.split("\n").slice(1)).toEqual(["  lr: 0.001 → (none)", "  schedule.warm.up: (none) → true"]);
  });

  it("cuts a long value after a hundred characters", () => {
    // 98 characters and two quotes are shown whole.
    const options = { ...config.options, lr: "a".repeat(98), penalty: "b".repeat(99) };
    expect(
      refusal(() => compared({ options }))
        .message.split("\n")
        .slice(1),
    ).toEqual([`  lr: 0.001 → "${"a".repeat(98)}"`, `  penalty: -0.5 → "${"b".repeat(99)}…`]);
  });

  it("notes programs of another version, new and gone ones", () => {
    const { node: _, ...versions } = config.versions;
    const after = "; the resumed run may differ in its last bits";
    expect(compared({ versions: { ...versions, patchdrop: "0.2.0", deno: "2" } })).toEqual([
      `patchdrop: "0.1.0" → "0.2.0"${after}`,
      `node: "20.20.2" → (none)${after}`,
      `deno: (none) → "2"${after}`,
    ]);
  });
});
