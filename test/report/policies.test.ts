/** What the page says of policies: of one, and of two side by side. */
import { parseHTML } from "linkedom";
import { describe, expect, it } from "vitest";
import { classSection, confusionSection } from "../../src/report/by-class.ts";
import { html } from "../../src/report/html.ts";
import { type PolicyReport, policySections } from "../../src/report/policies.ts";
import { samplePolicy } from "./sample.ts";

interface Node {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Node>;
}

async function shown(policies: readonly PolicyReport[], heading: string): Promise<Node> {
  const runs = policies.map(({ name, classes }) => ({ name, classes, confusions: [] }));
  const sections = [...(await policySections(policies)), ...(await classSection(policies, runs))];
  const section = sections.find((one) => one.heading === heading);
  const body = html`<!doctype html><html><body>${section?.content ?? ""}</body></html>`;
  return parseHTML(body.toString()).document as unknown as Node;
}

const all = (root: Node, selector: string) => Array.from(root.querySelectorAll(selector));
const texts = (root: Node, selector: string) => all(root, selector).map((node) => node.textContent);
const rows = (root: Node) => all(root, "tr").map((row) => texts(row, "th, td"));

describe("policySections", () => {
  it("says how many choices there are, how common the commonest is, and how undecided the policy", async () => {
    const page = await shown([samplePolicy()], "Does the policy look?");
    expect(texts(page, "dd")).toEqual([
      "5",
      "25.0 %",
      "1.25 of 4 bits",
      "+25.0 (+12.5 … +37.5) points (one fixed mask: 50.0 %)",
      "+12.5 (+6.3 … +18.8) points (centre patches: 62.5 %)",
    ]);
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
      "It looks, but nothing is won by it. What needs no policy is as good.",
    ]);
    expect(
      await verdictOf({ bestBaseline: { ...bestBaseline, gain: { mean: 0.01, low: 0.001, high: 0.02 } } }),
    ).toEqual(["It does: different images get different patches, and that wins."]);
    // 2.9 bits of 4: probabilities between 0.2 and 0.8.
    expect(await verdictOf({ entropyBits: 2.9 })).toEqual([
      "It has hardly learned: of most patches it is as good as undecided. What it takes wins all the same.",
    ]);
  });

  it.each([
    [0.5, 9, "It looks a little: a few masks serve most images."],
    [0.4, 3, "It looks a little: a few masks serve most images."],
    [0.95, 7, "It hardly looks: nearly all images get the same patches."],
    [1, 1, "It does not look: every image gets the same patches."],
  ])("warns of a policy that treats %d of its images alike", async (commonestMask, distinctMasks, verdict) => {
    const health = { ...samplePolicy().health, commonestMask, distinctMasks };
    const gain = { mean: -0.02, low: -0.03, high: -0.01 };
    const worse = { ...health, sameNumber: { ...health.sameNumber, gain } };
    expect(texts(await shown([samplePolicy({ health: worse })], "Does the policy look?"), ".verdict")).toEqual([
      `${verdict} What needs no policy is better.`,
    ]);
  });

  it.each([
    // What the intervals say of the gain over what needs no policy, and over the same number elsewhere.
    [[-0.01, 0.03], [0.01, 0.03], "It looks, but nothing is won by it. What needs no policy is as good."],
    [[-0.03, -0.01], [0.01, 0.03], "It looks, but nothing is won by it. What needs no policy is better."],
    [
      ...[
        [0.01, 0.03],
        [-0.01, 0.03],
      ],
      "It wins by how many patches it takes, not by where they lie: as many in fixed places are as good.",
    ],
    [[0.01, 0.03], [0.01, 0.03], "It does: different images get different patches, and that wins."],
  ] as [number[], number[], string][])("weighs gains of %j and %j", async ([low, high], [below, above], verdict) => {
    const { health } = samplePolicy();
    const changed = {
      ...health,
      bestBaseline: { ...health.bestBaseline, gain: { mean: 0.02, low, high } },
      sameNumber: { ...health.sameNumber, gain: { mean: 0.02, low: below, high: above } },
    };
    const page = await shown([samplePolicy({ health: changed })], "Does the policy look?");
    expect(texts(page, ".verdict")).toEqual([verdict]);
  });

  it("praises no policy for a gain whose interval is not known", async () => {
    const { health } = samplePolicy();
    const bestBaseline = { name: "one fixed mask", accuracy: 0.5 };
    const page = await shown([samplePolicy({ health: { ...health, bestBaseline } })], "Does the policy look?");
    expect(texts(page, ".verdict")).toEqual([
      "It looks. Whether that wins is not known: the evaluation has no intervals.",
    ]);
    expect(texts(page, "dd").at(-2)).toBe("+25.0 points (one fixed mask: 50.0 %)");
  });

  it("says of one whose curriculum was not over how far that had come", async () => {
    const { health } = samplePolicy();
    const page = await shown([samplePolicy({ health: { ...health, decided: 2 } })], "Does the policy look?");
    expect([texts(page, "dt")[0], texts(page, "dd")[0]]).toEqual([
      "the curriculum",
      "was not over: learned to decide 2 of 4 patches",
    ]);
  });

  it("counts the images that left early", async () => {
    const { health } = samplePolicy();
    const exits = { confidence: 0.95, atOnce: 2, later: 1 };
    const page = await shown([samplePolicy({ health: { ...health, exits } })], "Does the policy look?");
    expect([texts(page, "dt").at(-1), texts(page, "dd").at(-1)]).toEqual([
      "left early",
      "25.0 % without a patch, 12.5 % after some, from a confidence of 95.0 % on",
    ]);
  });

  it("has a column for each policy of several, and their lines on common axes", async () => {
    const policies = [samplePolicy({ name: "a" }), samplePolicy({ name: "b", patchUse: [1, 0, 0, 0] })];
    const use = await shown(policies, "Which patches");
    expect(texts(use, ".side h3")).toEqual(["a", "b"]);
    expect(all(use, "svg").map((map) => map.getAttribute("aria-label"))).toEqual([
      "Share of the images for which each patch was taken, in % by row: 10 20; 30 94",
      "Share of the images for which each patch was taken, in % by row: 100 0; 0 0",
    ]);
    const [common, , ...each] = all(await shown(policies, "Accuracy against patches"), "svg[role=img]");
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
    ]);
    expect(texts(await shown(policies, "By class"), ".charts")).toEqual([]);
  });
});

describe("confusionSection", () => {
  const classes = (names: string[]) => names.map((name) => ({ name, images: 8, accuracy: 0.5, patches: 2 }));
  const page = (runs: Parameters<typeof confusionSection>[0]) => {
    const body = html`<!doctype html><html><body>${confusionSection(runs).map(({ content }) => content)}</body></html>`;
    return parseHTML(body.toString()).document as unknown as Node;
  };

  it("is a matrix of shares of each class", () => {
    const confusions = [
      { label: 0, prediction: 2, images: 3 },
      { label: 0, prediction: 1, images: 1 },
      { label: 2, prediction: 0, images: 4 },
    ];
    const none = { name: "none", images: 0, accuracy: Number.NaN, patches: Number.NaN };
    const all3 = [...classes(["cat"]), none, ...classes(["<b>"])];
    // 3 and 1 of 8 images, 4 of 8; a class without images has no row.
    expect(rows(page([{ name: "hr", classes: all3, confusions }]))).toEqual([
      ["class", "1", "2", "3"],
      ["1 cat", "50", "13", "38"],
      ["3 <b>", "50", "", "50"],
    ]);
  });

  it("lists the pairs that are confused most where there are more than thirty classes", () => {
    const many = classes(Array.from({ length: 31 }, (_, k) => `c${k}`));
    const confusions = Array.from({ length: 25 }, (_, k) => ({ label: k, prediction: k + 1, images: k === 0 ? 4 : 1 }));
    const found = rows(page([{ name: "hr", classes: many, confusions }]));
    expect(found).toHaveLength(1 + 20);
    expect(found.slice(1, 3)).toEqual([
      ["c0", "c1", "4", "50.0"],
      ["c1", "c2", "1", "12.5"],
    ]);
    expect(rows(page([{ name: "hr", classes: many.slice(0, 30), confusions }]))[0]).toHaveLength(31);
  });

  it("is nothing where nothing is confused, and one block a run where several are", () => {
    const [one] = [{ label: 0, prediction: 1, images: 1 }];
    const run = (name: string, confusions: (typeof one)[]) => ({ name, classes: classes(["a", "b"]), confusions });
    expect(confusionSection([run("hr", [])])).toEqual([]);
    const two = page([run("hr", [one]), run("perfect", []), run("fin", [one])]);
    expect(texts(two, "summary")).toEqual(["hr", "fin"]);
    expect(all(two, "details").map((block) => block.getAttribute("open") !== null)).toEqual([false, true]);
  });
});
