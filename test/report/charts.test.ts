import { parseHTML } from "linkedom";
import sharp from "sharp";
import { describe, expect, it } from "vitest";
import { heatMap } from "../../src/report/heat-map.ts";
import { learningCurves, type MetricRecord } from "../../src/report/learning-curves.ts";
import { tradeoffChart, tradeoffFile } from "../../src/report/tradeoff.ts";
import { samplePage, sampleTradeoff } from "./sample.ts";

/** What the tests read of a drawn page. */
interface Drawn {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Drawn>;
}

function parsed(markup: { toString(): string }): Drawn {
  return parseHTML(`<!doctype html><html><body>${markup}</body></html>`).document as unknown as Drawn;
}

const all = (root: Drawn, selector: string) => Array.from(root.querySelectorAll(selector));
const paths = (root: Drawn) => all(root, 'g[aria-label="line"] path').map((path) => path.getAttribute("d"));
const record = (epoch: number, accuracy: number): MetricRecord => ({ epoch, split: "test", accuracy });

describe("tradeoffChart", () => {
  it("draws each series through its points, in the order of patches", async () => {
    const chart = parsed(await tradeoffChart(sampleTradeoff));
    const svg = all(chart, "svg")[0];
    // 480 × 340 with margins of 44 left, 20 right, 30 above and 40 below: 0 … 16 patches lie at x = 44 … 460, 50 … 100 %
    // at y = 300 … 30. The baseline comes first, and one point makes no line to see.
    expect(paths(svg)).toEqual(["M44,300Z", "M44,300L252,165L460,30"]);
    const dots = all(svg, 'g[aria-label="dot"] path, g[aria-label="dot"] circle');
    expect(dots).toHaveLength(1 + 3);
    const ticks = all(svg, 'g[aria-label="x-axis tick label"] text').map((tick) => tick.textContent);
    expect(ticks).toEqual(["0", "2", "4", "6", "8", "10", "12", "14", "16"]);
  });

  it("says its values in words, and names each series in the legend", async () => {
    const chart = parsed(await tradeoffChart(sampleTradeoff));
    expect(all(chart, "svg")[0].getAttribute("aria-label")).toBe(
      "Accuracy against the mean number of patches. policy: 50.0 % at 0.00 patches, 75.0 % at 8.00 patches, " +
        "100.0 % at 16.00 patches. LR classifier: 50.0 % at 0.00 patches",
    );
    expect(all(chart, ".entry").map((entry) => entry.textContent.trim())).toEqual(
      expect.arrayContaining([expect.stringMatching(/policy$/), expect.stringMatching(/LR classifier$/)]),
    );
  });

  it("draws a level right across, and names it beside the chart, not in the legend", async () => {
    const level = {
      label: "all patches 75.0 %",
      kind: "reference" as const,
      points: [{ patches: 16, accuracy: 0.75 }],
    };
    const chart = parsed(await tradeoffChart([...sampleTradeoff, level]));
    // 84 pixels on the right: the level goes from x = 44 to 396, at the middle of 50 … 100 %, y = 165.
    const [rule] = all(chart, 'g[aria-label="rule"] line');
    expect(["x1", "x2", "y1"].map((name) => rule.getAttribute(name))).toEqual(["44", "396", "165"]);
    const [text] = all(chart, 'g[aria-label="text"] text');
    expect(text.textContent).toBe("all patches75.0 %");
    expect(
      all(chart, ".entry")
        .map((entry) => entry.textContent.trim())
        .join(),
    ).not.toContain("all patches");
  });

  it("rings the point of a policy that was evaluated, and dashes each baseline in its own way", async () => {
    const points = [{ patches: 8, accuracy: 0.75 }];
    const baseline = (label: string) => ({ label, kind: "baseline" as const, points: sampleTradeoff[0].points });
    const series = [...sampleTradeoff.slice(0, 1), baseline("random"), baseline("centre")];
    const chart = parsed(await tradeoffChart([...series, { label: "as evaluated", kind: "chosen", points }]));
    const svg = all(chart, "svg")[0];
    const dashes = all(svg, 'g[aria-label="line"]').map((line) => line.getAttribute("stroke-dasharray"));
    expect(dashes).toEqual(["4 3", "1.5 3", null, null]);
    const rings = all(svg, 'g[aria-label="dot"]').filter((dots) => dots.getAttribute("fill") === "none");
    expect(rings).toHaveLength(1);
  });

  it("leaves out what is not finite, and says so of a series without values", async () => {
    const points = [
      { patches: Number.NaN, accuracy: 0.5 },
      { patches: 4, accuracy: Number.NaN },
    ];
    const chart = await tradeoffChart([{ label: "lost", kind: "policy", points }]);
    expect(all(parsed(chart), "svg")[0].getAttribute("aria-label")).toMatch(/lost: no values$/);
    expect(chart.toString()).not.toMatch(/[MLdxy]="?NaN/);
  });

  it("keeps a hostile label a label", async () => {
    const label = '"><script>alert(1)</script>';
    const chart = await tradeoffChart([{ label, kind: "policy", points: [{ patches: 1, accuracy: 1 }] }]);
    expect(all(parsed(chart), "script")).toEqual([]);
    expect(chart.toString()).not.toContain("<script");
    expect(all(parsed(chart), "svg")[0].getAttribute("aria-label")).toContain(label);
  });
});

describe("a chart in a file of its own", () => {
  it("is drawn in colours that a program without style sheets knows", async () => {
    const text = await tradeoffFile("Accuracy <1> \u0001", sampleTradeoff);
    expect(text).not.toMatch(/var\(|currentColor|<style/);
    // 640 × 400 with margins of 44 left, 20 right, 30 above and 40 below, 36 pixels down: 8 patches lie at x = 332, 75 % at
    // y = 231, where the policy's middle point is, in the accent's colour.
    const { data, info } = await sharp(Buffer.from(text)).removeAlpha().raw().toBuffer({ resolveWithObject: true });
    const at = (x: number, y: number) => Array.from(data.subarray(3 * (y * info.width + x)).subarray(0, 3));
    expect(at(2, 2)).toEqual([0xff, 0xff, 0xff]);
    expect(at(332, 231)).toEqual([0x0b, 0x5f, 0x87]);
  });
});

describe("learningCurves", () => {
  it("draws one chart for each metric that was recorded, train and test apart", async () => {
    const page = parsed(await learningCurves(samplePage().stages));
    expect(all(page, "h3").map((heading) => heading.textContent)).toEqual(["pretrain"]);
    expect(all(page, "figcaption").map((caption) => caption.textContent)).toEqual([
      "accuracy, %",
      "patches per image, S",
    ]);
    // 270 × 185 with margins of 44, 20, 20, 34: epochs 0 … 4 at x = 44 … 250, 50 … 100 % at y = 151 … 20.
    const [accuracy] = all(page, "figure svg");
    expect(paths(accuracy)).toEqual(["M44,151L147,85.5L250,20", "M250,46.2Z"]);
    expect(all(accuracy, 'g[aria-label="line"]').map((line) => line.getAttribute("stroke-dasharray"))).toEqual([
      "4 3",
      null,
    ]);
    expect(accuracy.getAttribute("aria-label")).toBe(
      "pretrain, accuracy, % by epoch: train from 50.0 at epoch 0 to 100.0 at epoch 4; test 90.0 at epoch 4",
    );
  });

  it("marks whole epochs only", async () => {
    const tickLabels = async (records: MetricRecord[]) => {
      const page = parsed(await learningCurves([{ name: "s", records }]));
      return all(page, 'g[aria-label="x-axis tick label"] text').map((tick) => tick.textContent);
    };
    expect(await tickLabels([record(1, 0.1), record(3, 0.2)])).toEqual(["1", "2", "3"]);
    expect(await tickLabels([record(1, 0.1), record(350, 0.2)])).toEqual([
      "50",
      "100",
      "150",
      "200",
      "250",
      "300",
      "350",
    ]);
    expect(await tickLabels([record(7, 0.1)])).toEqual(["7"]);
  });

  it("gives a single value an axis with room around it", async () => {
    const page = parsed(await learningCurves([{ name: "s", records: [record(1, 0.5)] }]));
    const ticks = all(page, 'g[aria-label="y-axis tick label"] text').map((tick) => tick.textContent);
    expect(ticks).toEqual(["46", "48", "50", "52", "54"]); // 50 % and a tenth of it on both sides: 45 … 55
  });

  it("breaks the line at a value that is not finite", async () => {
    const records = [1, 2, 3, 4, 5].map((epoch) => record(epoch, epoch === 3 ? Number.NaN : epoch / 5));
    const [svg] = all(parsed(await learningCurves([{ name: "s", records }])), "figure svg");
    expect(paths(svg)[0]?.match(/M/g)).toHaveLength(2);
  });
});

describe("heatMap", () => {
  it("writes each share as a percentage where its patch lies, light on dark", () => {
    const map = parsed(heatMap([0.1, 0.204, 0.64, 0.94], 2, "Use"));
    expect(all(map, "svg")[0].getAttribute("aria-label")).toBe("Use, in % by row: 10 20; 64 94");
    const texts = all(map, "text").map((text) => ["x", "y", "class"].map((name) => text.getAttribute(name)));
    expect(texts).toEqual([
      ["20", "20", "on-light"],
      ["60", "20", "on-light"],
      ["20", "60", "on-light"],
      ["60", "60", "on-dark"],
    ]);
    expect(all(map, "text").map((text) => text.textContent)).toEqual(["10", "20", "64", "94"]);
    expect(all(map, "rect").map((rect) => rect.getAttribute("fill-opacity"))).toEqual(["0.10", "0.20", "0.64", "0.94"]);
  });

  it("is a square, as the image is, whose cells have the patches' proportions", () => {
    const map = parsed(heatMap([0, 0.25, 0.5, 0.75, 1, 0], 3, "Use"));
    const [svg] = all(map, "svg");
    // Three columns of 40, so two rows of 60; a cell leaves a line of 1 free on each side.
    expect(svg.getAttribute("viewBox")).toBe("0 0 120 120");
    expect(svg.getAttribute("aria-label")).toBe("Use, in % by row: 0 25 50; 75 100 0");
    const boxes = all(map, "rect").map((cell) => ["x", "y", "width", "height"].map((name) => cell.getAttribute(name)));
    expect(boxes[0]).toEqual(["1", "1", "38", "58"]);
    expect(boxes[5]).toEqual(["81", "61", "38", "58"]);
    const last = all(map, "text")[5];
    expect([last.getAttribute("x"), last.getAttribute("y")]).toEqual(["100", "90"]);
  });

  it("refuses a number of patches that does not fill its rows", () => {
    expect(() => heatMap([0.1, 0.2, 0.3], 2, "Use")).toThrow("report: patches must fill rows of 2, got 3");
  });
});
