/** What the page says of policies: of one, and of two side by side. */
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { html } from "../../src/report/html.ts";
import { type PolicyReport, policySections } from "../../src/report/policies.ts";
import { samplePolicy } from "./sample.ts";

interface Node {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Node>;
}

async function shown(policies: readonly PolicyReport[], heading: string): Promise<Node> {
  const section = (await policySections(policies)).find((one) => one.heading === heading);
  const body = html`<!doctype html><html><body>${section?.content ?? ""}</body></html>`;
  return parseHTML(body.toString()).document as unknown as Node;
}

const all = (root: Node, selector: string) => Array.from(root.querySelectorAll(selector));
const texts = (root: Node, selector: string) => all(root, selector).map((node) => node.textContent);
const rows = (root: Node) => all(root, "tr").map((row) => texts(row, "th, td"));

describe("policySections", () => {
  it("says how many choices there are, how common the commonest is, and how undecided the policy", async () => {
    const page = await shown([samplePolicy()], "Does the policy look?");
    expect(texts(page, "dd")).toEqual(["5", "25.0 %", "1.25 of 4 bits", "+25.0 points (centre patches: 50.0 %)"]);
    expect(texts(page, ".verdict")).toEqual(["It does: different images get different patches, and that wins."]);
    expect(all(page, "svg")[0].getAttribute("aria-label")).toBe(
      "Share of images by number of patches. 1: 50.0 %, 2: 50.0 %",
    );
    // Two bars as high as the chart: 50 % is the most there is.
    expect(all(page, 'g[aria-label="bar"] rect').map((bar) => Number(bar.getAttribute("height")) > 0)).toEqual([
      false,
      true,
      true,
      false,
      false,
    ]);
  });

  it("warns of one that does not win by it, for all its masks, and of one that is undecided", async () => {
    const { health } = samplePolicy();
    const verdictOf = async (changed: Partial<typeof health>) =>
      texts(await shown([samplePolicy({ health: { ...health, ...changed } })], "Does the policy look?"), ".verdict");
    const bestBaseline = { ...health.bestBaseline, gain: { mean: 0.01, low: -0.001, high: 0.02 } };
    expect(await verdictOf({ bestBaseline })).toEqual([
      "It looks, but nothing is won by it: what needs no policy is as good.",
    ]);
    expect(
      await verdictOf({ bestBaseline: { ...bestBaseline, gain: { mean: 0.01, low: 0.001, high: 0.02 } } }),
    ).toEqual(["It does: different images get different patches, and that wins."]);
    // 2.9 bits of 4: probabilities between 0.2 and 0.8.
    expect(await verdictOf({ entropyBits: 2.9 })).toEqual([
      "It has hardly learned: of most patches it is as good as undecided.",
    ]);
  });

  it.each([
    [0.5, 9, "It looks a little: a few masks serve most images."],
    [0.4, 3, "It looks a little: a few masks serve most images."],
    [0.95, 7, "It hardly looks: nearly all images get the same patches."],
    [1, 1, "It does not look: every image gets the same patches."],
  ])("warns of a policy that treats %d of its images alike", async (commonestMask, distinctMasks, verdict) => {
    const health = { ...samplePolicy().health, commonestMask, distinctMasks };
    expect(texts(await shown([samplePolicy({ health })], "Does the policy look?"), ".verdict")).toEqual([verdict]);
  });

  it("says by how much a mask that ignores the image is better", async () => {
    const health = { ...samplePolicy().health, accuracy: 0.4816 };
    const page = await shown([samplePolicy({ health })], "Does the policy look?");
    expect(texts(page, "dd").at(-1)).toBe("−1.8 points (centre patches: 50.0 %)");
  });

  it("has a column for each policy of several, and their lines on common axes", async () => {
    const policies = [samplePolicy({ name: "a" }), samplePolicy({ name: "b", patchUse: [1, 0, 0, 0] })];
    const use = await shown(policies, "Which patches");
    expect(texts(use, ".side h3")).toEqual(["a", "b"]);
    expect(all(use, "svg").map((map) => map.getAttribute("aria-label"))).toEqual([
      "Share of the images for which each patch was taken, in % by row: 10 20; 30 94",
      "Share of the images for which each patch was taken, in % by row: 100 0; 0 0",
    ]);
    const [common, ...each] = all(await shown(policies, "Accuracy against patches"), "svg[role=img]");
    expect(common.getAttribute("aria-label")).toMatch(/^Accuracy .* a: 50\.0 % at .* b: 50\.0 % at /);
    expect(each.map((chart) => chart.getAttribute("aria-label")?.slice(0, 3))).toEqual(["a: ", "b: "]);
    expect(rows(await shown(policies, "By class"))).toEqual([
      ["", "a", "b"],
      ["class", "images", "accuracy %", "S", "accuracy %", "S"],
      ["cat", "4", "75.0", "1.54", "75.0", "1.54"],
      ["dog", "4", "75.0", "1.54", "75.0", "1.54"],
    ]);
  });

  it("draws of many classes those with the fewest and the most patches, and lists all", async () => {
    const [cat] = samplePolicy().classes;
    const classes = Array.from({ length: 20 }, (_, k) => ({ ...cat, name: `c${k}`, patches: (7 * k) % 20 }));
    const page = await shown([samplePolicy({ classes })], "By class");
    // 7k mod 20 is 0 … 5 for k = 0, 3, 6, 9, 12, 15 and 14 … 19 for k = 2, 5, 8, 11, 14, 17.
    const drawn = [0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 17].map((k) => `c${k}`);
    expect(texts(page, ".maps figcaption").map((caption) => caption.split(" ")[0])).toEqual(drawn);
    expect(texts(page, ".charts figcaption")).toEqual(drawn);
    expect(rows(page)).toHaveLength(1 + 20);
  });

  it("goes by the classes' names, and leaves out those without images", async () => {
    const [cat, dog] = samplePolicy().classes;
    const nan = { images: 0, accuracy: Number.NaN, patches: Number.NaN, patchUse: [] };
    const first = samplePolicy({ name: "a", classes: [{ ...cat, ...nan, name: "none" }, dog, cat] });
    const second = samplePolicy({ name: "b", classes: [{ ...cat, accuracy: 0.5 }] });
    const page = await shown([first, second], "By class");
    expect(rows(page).slice(2)).toEqual([
      ["dog", "4", "75.0", "1.54", "–", "–"],
      ["cat", "4", "75.0", "1.54", "50.0", "1.54"],
    ]);
    expect(texts(page, ".charts figcaption")).toEqual(["dog", "cat"]);
  });

  it("is without charts where there was no sweep", async () => {
    const classes = samplePolicy().classes.map((one) => ({ ...one, tradeoff: [] }));
    const policies = [samplePolicy({ tradeoff: [], classes })];
    expect((await policySections(policies)).map(({ heading }) => heading)).toEqual([
      "Which patches",
      "Does the policy look?",
      "By class",
      "Examples",
    ]);
    expect(texts(await shown(policies, "By class"), ".charts")).toEqual([]);
  });
});
