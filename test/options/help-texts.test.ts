/** The words that --help has for each option: there are some, in the house's style, and each option has its own. */
import { describe, expect, it } from "vitest";
import { commandNames, schemaOf } from "../../src/options/command-schemas.ts";

/** A few words without a full stop, which start small unless they start with a name. */
const inStyle = /^(ImageNet |SVG |JSON |[a-z]).*[^.\s]$/;

describe.each(commandNames)("of %s", (command) => {
  const texts = async () => {
    const { describeOption } = await import("../../src/options/option.ts");
    const described = Object.values((await schemaOf(command)).shape).map(describeOption);
    // A switch that is on by default is only shown as its --no-…, in the words of that.
    return described.map(({ description, whenOff }) => whenOff ?? description);
  };

  it("are a few words without a full stop", async () => {
    expect((await texts()).filter((text) => !inStyle.test(text))).toEqual([]);
  });

  it("differ from option to option", async () => {
    const all = await texts();
    expect(all.filter((text, i) => all.indexOf(text) !== i)).toEqual([]);
  });
});

it("say of a switch that is on what it does, and what turning it off does", async () => {
  const { describeOption } = await import("../../src/options/option.ts");
  const shapes = await Promise.all(commandNames.map(async (command) => Object.values((await schemaOf(command)).shape)));
  const on = shapes
    .flat()
    .map(describeOption)
    .filter(({ type, default: value }) => type === "switch" && value === true);
  // cuda_graph of four stages, curriculum of one, sweep of report.
  expect(on.length).toBe(6);
  for (const { description, whenOff = "" } of on) {
    expect(description).toMatch(inStyle);
    expect(whenOff).toMatch(inStyle);
    expect(whenOff).not.toBe(description);
  }
});
