import { describe, expect, it } from "vitest";
import { fault, oneLine, sentence, sentences, within } from "../src/errors.ts";

const inner = fault("system", {
  where: "https://example.org/resnet34.pth",
  rule: "the connection must last until the file is complete",
  got: "ECONNREFUSED",
  next: "check the network and the address",
});

describe("a fault", () => {
  it("is said as place, rule, value and next step", () => {
    expect(inner.message).toBe(
      "https://example.org/resnet34.pth: the connection must last until the file is complete, got ECONNREFUSED; " +
        "check the network and the address",
    );
    expect(sentence({ where: "--alpha", rule: "must be at most 1" })).toBe("--alpha: must be at most 1");
  });

  it("stays one line, whatever a file's name or a value holds", () => {
    const { message } = fault("input", { where: "a\nb\u001b[31m\u202Egnp.png", rule: "must be an image", got: "x\ny" });
    expect(message).toBe("a\\nb\\u001b[31m\\u202egnp.png: must be an image, got x\\ny");
  });

  it("shows at most 200 characters of a value", () => {
    expect(sentence({ where: "w", rule: "r", got: "x".repeat(201) })).toBe(`w: r, got ${"x".repeat(200)}…`);
  });
});

describe("an error within another", () => {
  it("keeps the outer place and rule and the outer next step, in one line", () => {
    const error = within({ where: "--pretrained auto", rule: "needs resnet34.pth", next: "give a file" }, inner);
    expect(error.message).toBe(
      "--pretrained auto: needs resnet34.pth (https://example.org/resnet34.pth: the connection must last until the file " +
        "is complete, got ECONNREFUSED); give a file",
    );
    expect([error.kind, error.exitCode, error.cause]).toEqual(["system", 5, inner]);
    expect(error.faults).toEqual([
      { where: "--pretrained auto", rule: "needs resnet34.pth", causes: inner.faults, next: "give a file" },
    ]);
  });

  it("says what to do next itself where the outer one does not, and takes another kind when told to", () => {
    const error = within({ where: "run", rule: "must be whole" }, inner, "input");
    expect(error.message).toMatch(/^run: must be whole \(.*got ECONNREFUSED\); check the network and the address$/);
    expect(error.kind).toBe("input");
  });

  it("names three of many faults, and can lie within a third", () => {
    const many = fault(
      "input",
      ["a", "b", "c", "d", "e"].map((where) => ({ where, rule: "is missing" })),
    );
    const error = within({ where: "all", rule: "must open" }, within({ where: "run", rule: "must be whole" }, many));
    expect(error.message).toBe(
      "all: must open (run: must be whole (a: is missing; b: is missing; c: is missing; and 2 more))",
    );
  });
});

it("shows what would turn the direction of a line around", () => {
  expect(oneLine("a\u202egpj.exe\u2066\u2069\u0007é→.")).toBe("a\\u202egpj.exe\\u2066\\u2069\\u0007é→.");
});

describe("what the command line prints of an error", () => {
  it("is a line a fault of ours, and the message of any other", () => {
    const two = fault("usage", [
      { where: "--lr", rule: "must be above 0", got: -1 },
      { where: "--seed", rule: "must be a whole number", got: "x" },
    ]);
    expect(sentences(two)).toEqual(["--lr: must be above 0, got -1", "--seed: must be a whole number, got x"]);
    expect(sentences(new Error("no\nluck"))).toEqual(["no", "luck"]);
    expect(sentences("thrown")).toEqual(["thrown"]);
  });
});
