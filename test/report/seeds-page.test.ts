/** The page of several seeds. */
import { parseHTML } from "linkedom";
import { expect, it } from "vitest";
import { renderSeedsPage, type SeedsPage } from "../../src/report/seeds-page.ts";
import { sampleTradeoff } from "./sample.ts";

const even = (mean: number, half: number) => ({ mean, low: mean - half, high: mean + half });

function page(changes: Partial<SeedsPage> = {}): SeedsPage {
  const row = { name: "policy (b)", kind: "policy" as const, accuracy: even(0.9, 0.012), patches: even(7.2, 0.5) };
  return {
    ...{ title: "Scenes", summary: "Where to look.", gallery: "b", tradeoff: sampleTradeoff },
    table: { seeds: [3, 12], sameForAll: [], rows: [row] },
    pages: [3, 12].map((seed) => ({ seed, address: `seed${seed}/index.html` })),
    ...{ command: "patchdrop run x.yaml --seeds 3,12", generated: new Date("2026-11-27T09:54:31Z") },
    ...changes,
  };
}

/** What the tests read of a page. */
interface Node {
  readonly textContent: string;
  getAttribute(name: string): string | null;
}

async function parsed(changes: Partial<SeedsPage> = {}) {
  const text = await renderSeedsPage(page(changes));
  const { document } = parseHTML(text);
  const all = (selector: string): Node[] => Array.from(document.querySelectorAll(selector));
  return { text, all, texts: (selector: string) => all(selector).map(({ textContent }) => textContent) };
}

it("has title, summary, table, chart, the seeds' pages and the command", async () => {
  const { all, texts } = await parsed();
  expect([...texts("title"), ...texts("h1"), ...texts(".summary")]).toEqual(["Scenes", "Scenes", "Where to look."]);
  expect(texts("h2")).toEqual(["Results", "Accuracy against patches", "Each seed", "How this was made"]);
  expect(texts(".policy > *")).toEqual(["policy (b)", "90.0 ± 1.2", "7.20 ± 0.50"]);
  expect(texts(".note")[0]).toMatch(/^Means over 2 seeds \(3, 12\) with intervals of 95 % over the seeds/);
  expect(texts(".note")[1]).toMatch(/^The policy of b: /);
  const links = all("main ul a")
    .filter((link) => !link.getAttribute("href")?.startsWith("#"))
    .map((link) => [link.textContent, link.getAttribute("href")]);
  expect(links).toEqual([
    ["seed 3", "seed3/index.html"],
    ["seed 12", "seed12/index.html"],
  ]);
  expect(all('svg[role="img"]')).toHaveLength(2); // one for a broad page, one for a phone
  expect(texts("pre")).toEqual(["patchdrop run x.yaml --seeds 3,12"]);
  expect(texts("time")).toEqual(["2026-11-27 09:54 UTC"]);
});

it("has no chart where there are no sweeps", async () => {
  const { all, texts } = await parsed({ gallery: undefined, tradeoff: [] });
  expect(texts("h2")).toEqual(["Results", "Each seed", "How this was made"]);
  expect(all("svg")).toHaveLength(0);
});

it("loads nothing, and takes nothing that it was given for markup", async () => {
  const hostile = `</title></code><script>alert("x")</script><img src=x>`;
  const words = { title: hostile, summary: hostile, gallery: hostile, command: hostile };
  const { text, all } = await parsed({ ...words, pages: [{ seed: 1, address: `"><script>` }] });
  expect(text).not.toMatch(/<script|<img|https?:\/\//);
  expect(all("script, link, img, iframe")).toHaveLength(0);
});
