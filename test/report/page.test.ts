import { parseHTML } from "linkedom";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { PatchDropError } from "../../src/errors.ts";
import { type GalleryItem, gallery, galleryLegend, pngAddress } from "../../src/report/gallery.ts";
import { html } from "../../src/report/html.ts";
import { renderPage } from "../../src/report/page.ts";
import type { PolicyReport } from "../../src/report/policies.ts";
import { styleSheet } from "../../src/report/style.ts";
import { sampleHeadroom, sampleImage, sampleItem, samplePage, samplePolicy } from "./sample.ts";

/** What the tests read of a page. */
interface Node {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Node>;
}

function parsed(text: string): Node {
  return parseHTML(text).document as unknown as Node;
}

const all = (root: Node, selector: string) => Array.from(root.querySelectorAll(selector));
const attribute = (name: string) => (node: Node) => node.getAttribute(name);

async function pixelsOf(address: string | null): Promise<Uint8Array> {
  const [head, body] = address?.split(",") ?? [];
  expect(head).toBe("data:image/png;base64");
  return sharp(Buffer.from(body, "base64")).raw().toBuffer();
}

describe("html", () => {
  it("replaces what would not be seen, and leaves white space", () => {
    const name = "a\u202Eb\u2069c\u0000d\u001b[31me\tf\ng";
    const shown = "a\uFFFDb\uFFFDc\uFFFDd\uFFFD[31me\tf\ng";
    expect(html`<p title="${name}">${name}</p>`.toString()).toBe(`<p title="${shown}">${shown}</p>`);
  });

  it("escapes what is not markup, in text and in attributes", () => {
    const name = `<b>"Tom" & 'Jerry'</b>`;
    expect(html`<p title="${name}">${name}</p>`.toString()).toBe(
      '<p title="&#60;b&#62;&#34;Tom&#34; &#38; &#39;Jerry&#39;&#60;/b&#62;">' +
        "&#60;b&#62;&#34;Tom&#34; &#38; &#39;Jerry&#39;&#60;/b&#62;</p>",
    );
    expect(html`<ul>${[html`<li>${1}</li>`, html`<li>${2}</li>`]}</ul>`.toString()).toBe(
      "<ul><li>1</li>\n<li>2</li></ul>",
    );
  });
});

describe("renderPage", () => {
  it("holds everything and loads nothing", async () => {
    const text = await renderPage(samplePage());
    expect(text).not.toMatch(/https?:\/\/|@import|url\(/);
    const page = parsed(text);
    expect(all(page, "script, link, iframe, object, embed, base")).toEqual([]);
    const addresses = [...all(page, "[src]").map(attribute("src")), ...all(page, "[href]").map(attribute("href"))];
    const sources = addresses.filter((address) => !address?.startsWith("#"));
    expect(sources).toHaveLength(3); // low resolution, masked, and the image below the outlines
    for (const source of sources) expect(source).toMatch(/^data:image\/png;base64,/);
    const [policy] = all(page, 'meta[http-equiv="Content-Security-Policy"]');
    expect(policy.getAttribute("content")).toBe("default-src 'none'; style-src 'unsafe-inline'; img-src data:");
  });

  it("says what there is to gain, where that was measured", async () => {
    const heading = "Can looking pay?";
    const headings = (page: Node) => all(page, "h2").map(({ textContent }) => textContent);
    expect(headings(parsed(await renderPage(samplePage())))).not.toContain(heading);
    const headrooms = [{ name: "hr", table: sampleHeadroom }];
    const page = parsed(await renderPage(samplePage({ headrooms })));
    const section = all(page, "section").find((one) => one.textContent.includes(heading))!;
    expect(section.textContent).toContain("Looking can pay: 3.5 points by looking in rounds.");
    expect(section.textContent).toContain("3,000 images of cifar10, val");
    expect(all(section, "svg[aria-label]")).toHaveLength(2); // for a broad page, and for a phone
    for (const name of ["how many", "rounds", "where", "best fixed mask", "50.0 % without a patch, 87.5 % with all"]) {
      expect(section.textContent).toContain(name);
    }
    expect(all(section, "h3")).toEqual([]);
    const two = parsed(await renderPage(samplePage({ headrooms: [...headrooms, { ...headrooms[0], name: "hr2" }] })));
    expect(all(two, "h3").map(({ textContent }) => textContent)).toEqual(expect.arrayContaining(["hr", "hr2"]));
  });

  it("gives each chart and image an alternative text, or hides it as decoration", async () => {
    const page = parsed(await renderPage(samplePage()));
    const images = all(page, "img");
    expect(images).toHaveLength(2);
    for (const image of images) expect(image.getAttribute("alt")).toMatch(/\w{3}/);
    const charts = all(page, "svg").filter((svg) => svg.getAttribute("aria-hidden") !== "true");
    // Trade-off (for a broad page, and for a phone), patch use, patches of an image; two classes' use and trade-off; the item's probabilities and its
    // outlined image; two learning curves.
    expect(charts).toHaveLength(4 + 4 + 2 + 2);
    for (const chart of charts) {
      expect(chart.getAttribute("role")).toBe("img");
      expect(chart.getAttribute("aria-label")).toMatch(/\w{3}/);
    }
    const hidden = all(page, "svg").filter((svg) => svg.getAttribute("aria-hidden") === "true");
    expect(hidden).toHaveLength(6); // the samples in the three legends
  });

  it("shows the words, configuration, command and date that it was given", async () => {
    const page = parsed(await renderPage(samplePage()));
    expect(all(page, "h1")[0].textContent).toBe("PatchDrop on CIFAR-10");
    expect(all(page, "title")[0].textContent).toBe("PatchDrop on CIFAR-10");
    expect(all(page, ".summary")[0].textContent).toBe("The policy reads 7.2 of 16 patches.");
    expect(all(page, ".facts dt").map((node) => node.textContent)).toEqual([
      "alpha",
      "curriculum",
      "__proto__",
      "node",
    ]);
    expect(all(page, ".facts dd").map((node) => node.textContent)).toEqual([
      "0.8",
      "true",
      "a key like any other",
      "20.20.2",
    ]);
    expect(all(page, "pre")[0].textContent).toBe("patchdrop finetune --model R32_C10 --cv_dir 'runs/a & b'");
    expect(all(page, "time")[0].textContent).toBe("2026-11-23 09:54 UTC");
    expect(all(page, "time")[0].getAttribute("datetime")).toBe("2026-11-23T09:54:31.000Z");
  });

  it("begins with a list of its sections, each of which is where the list says", async () => {
    const page = parsed(await renderPage(samplePage({ headrooms: [{ name: "hr", table: sampleHeadroom }] })));
    const links = all(page, "nav a").map((link) => [link.textContent, link.getAttribute("href")]);
    expect(links.slice(0, 3)).toEqual([
      ["Results", "#results"],
      ["Can looking pay?", "#can-looking-pay"],
      ["Accuracy against patches", "#accuracy-against-patches"],
    ]);
    const sections = all(page, "section[id]");
    const places = sections.map((one) => [all(one, "h2")[0].textContent, `#${one.getAttribute("id")}`]);
    expect(links).toEqual(places);
  });

  it("leaves out the sections that have nothing to show", async () => {
    const bare = samplePage({ stages: [], policies: [], classes: [], times: [] });
    const headings = all(parsed(await renderPage(bare)), "h2").map((heading) => heading.textContent);
    expect(headings).toEqual(["Results", "How this was made"]);
    const full = all(parsed(await renderPage(samplePage())), "h2").map((heading) => heading.textContent);
    expect(full).toEqual([
      "Results",
      "Accuracy against patches",
      "Which patches",
      "Does the policy look?",
      "By class",
      "Which classes are confused",
      "Examples",
      "Learning curves",
      "Where the time went",
      "How this was made",
    ]);
  });

  it("takes nothing that it was given for markup", async () => {
    const hostile = `</title></style></code><script>alert("x")</script><img src=x onerror='y'>`;
    const text = await renderPage({
      ...samplePage(),
      title: hostile,
      summary: hostile,
      command: hostile,
      table: { rows: [{ name: hostile, kind: "policy", accuracy: 1 }] },
      stages: [{ name: hostile, records: [{ epoch: 1, split: "test", accuracy: 1 }] }],
      policies: [1, 2].map((n) => hostilePolicy(`${hostile}${n}`, hostile)),
      runs: ["1", "2"].map((n) => ({
        name: hostile + n,
        configuration: [[hostile, { nested: hostile + n }]],
        versions: [[hostile, hostile]],
      })),
    });
    expect(text).not.toMatch(/<script|<img src=x|alert\("x"\)/);
    expect(all(parsed(text), ".item b").map((name) => name.textContent)).toEqual(Array(4).fill(hostile));
  });

  it("says once what runs have in common, and beside each other what they differ in", async () => {
    const run = (name: string, penalty: number) => ({
      name,
      configuration: [
        ["model", "R8_Scenes"],
        ["penalty", penalty],
        ...(penalty < -1 ? [["clip", 1] as const] : []),
      ] as const,
      versions: [["node", "20"]] as const,
    });
    const page = parsed(await renderPage(samplePage({ policies: [], stages: [], runs: [run("a", -1), run("b", -2)] })));
    expect(all(page, ".facts dt").map((node) => node.textContent)).toEqual(["model", "node"]);
    const rows = all(page, "table.facts tr").map((row) => all(row, "th, td").map((cell) => cell.textContent));
    expect(rows).toEqual([
      ["option", "a", "b"],
      ["penalty", "-1", "-2"],
      ["clip", "–", "1"],
    ]);
  });
});

function hostilePolicy(name: string, hostile: string): PolicyReport {
  const series = [{ label: hostile, kind: "policy" as const, points: [{ patches: 1, accuracy: 1 }] }];
  const classes = samplePolicy().classes.map((one) => ({ ...one, name: hostile, tradeoff: series }));
  const item = sampleItem({ label: hostile, prediction: hostile, correct: false });
  return samplePolicy({ name, tradeoff: series, classes, gallery: [{ title: hostile, items: [item] }] });
}

const galleryOf = (...items: GalleryItem[]) => gallery([{ title: "Cheapest", items }]);

describe("gallery", () => {
  it("keeps the very pixels", async () => {
    const item = sampleItem();
    const page = parsed(`<!doctype html><html><body>${await galleryOf(item)}</body></html>`);
    const [low, masked] = all(page, "img");
    const [image] = all(page, "image");
    expect(Array.from(await pixelsOf(low.getAttribute("src")))).toEqual(Array.from(item.lowResolution.pixels));
    expect(Array.from(await pixelsOf(masked.getAttribute("src")))).toEqual(Array.from(item.masked.pixels));
    expect(Array.from(await pixelsOf(image.getAttribute("href")))).toEqual(Array.from(item.image.pixels));
  });

  it("outlines the taken patches, fades the others and counts them", async () => {
    const page = parsed(`<!doctype html><html><body>${await galleryOf(sampleItem())}</body></html>`);
    const corner = (node: Node) => [node.getAttribute("x"), node.getAttribute("y"), node.getAttribute("width")];
    // An image of 8 pixels in 2 × 2 patches of 4; the outline is 8 / 64 = 0.125 wide and as far from the patch's edge.
    expect(all(page, ".dropped").map(corner)).toEqual([
      ["4", "0", "4"],
      ["0", "4", "4"],
    ]);
    expect(all(page, ".taken").map(corner)).toEqual([
      ["0.125", "0.125", "3.75"],
      ["4.125", "4.125", "3.75"],
    ]);
    expect(all(page, ".chosen")[0].getAttribute("aria-label")).toMatch(/numbered row by row from 1: 1, 4$/);
    expect(all(page, ".count")[0].textContent).toBe("2 of 4 patches");
    expect(all(page, ".heat text").map((text) => text.textContent)).toEqual(["90", "25", "7", "65"]);
    expect(all(page, ".legend")[0].textContent).toBe(galleryLegend);
  });

  it("says in words whether the classifier was right", async () => {
    const items = [sampleItem({ confidence: 0.874 }), sampleItem({ prediction: "dog", correct: false })];
    const page = parsed(`<!doctype html><html><body>${await galleryOf(...items)}</body></html>`);
    const verdicts = all(page, "figcaption > span:first-child").map((node) => node.textContent.replace(/\u00a0/g, " "));
    expect(verdicts).toEqual(["cat: recognized (87 %) ✓", "cat: taken for dog ✗"]);
  });

  it("enlarges small images without blurring them, and no others", async () => {
    const image = sampleImage(112, 1);
    const text = await galleryOf(sampleItem({ image, masked: image, lowResolution: sampleImage(28, 2) }));
    const page = parsed(`<!doctype html><html><body>${text}</body></html>`);
    expect(all(page, "img, image").map(attribute("class"))).toEqual(["enlarged", "reduced", "reduced"]);
    expect(styleSheet).toContain(".enlarged { image-rendering: pixelated; }");
  });

  it("says that no patch was taken", async () => {
    const page = parsed(
      `<!doctype html><html><body>${await galleryOf(sampleItem({ mask: new Uint8Array(4) }))}</body></html>`,
    );
    expect(all(page, ".chosen")[0].getAttribute("aria-label")).toMatch(/from 1: none$/);
    expect(all(page, ".taken")).toEqual([]);
  });

  it("refuses an image whose bytes are not its size's", async () => {
    const wrong = { size: 8, pixels: sampleImage(4, 1).pixels };
    const error: unknown = await pngAddress(wrong).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(PatchDropError);
    expect(error).toMatchObject({
      exitCode: 70,
      message: "report: image: must have size × size × 3 bytes, of size 8, got 48",
    });
  });
});
