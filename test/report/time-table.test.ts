import { parseHTML } from "linkedom";
import { expect, it } from "vitest";
import { timeSections, timeText } from "../../src/report/time-table.ts";

/** What the test reads of a page. */
interface Node {
  readonly textContent: string;
  getAttribute(name: string): string | null;
  querySelectorAll(selector: string): Iterable<Node>;
}

const kinds = [
  { kind: "other", seconds: 0.5, calls: 0 },
  { kind: "backward", seconds: 5.256, calls: 12_000 },
  { kind: "policy", seconds: 2.244, calls: 12_000 },
];
const training = { device: "cpu", threads: 2, precision: "bf16", images: 16_000, imagesPerSecond: 612.4 };

it("has a line a kind, what takes most first", () => {
  expect(timeText({ name: "runs/a", times: { sessions: 1, seconds: 8, kinds, training } })).toBe(
    [
      "runs/a: 8.0 s; 16,000 images, 612 a second; 2 threads, bf16 on cpu",
      "",
      "where the time went  seconds     %   calls",
      "-------------------  -------  ----  ------",
      "backward                5.26  65.7  12,000",
      "policy                  2.24  28.1  12,000",
      "other                   0.50   6.3       –",
      "",
    ].join("\n"),
  );
});

it("says of how many sessions it is, and of an experiment nothing of images", () => {
  const [line] = timeText({ name: "runs/a", times: { sessions: 3, seconds: 8, kinds } }).split("\n");
  expect(line).toBe("runs/a: 8.0 s in 3 sessions");
  const slow = { ...training, threads: 1, imagesPerSecond: 3.14 };
  expect(timeText({ name: "b", times: { sessions: 1, seconds: 8, kinds, training: slow } })).toContain(
    "16,000 images, 3.1 a second; 1 thread, bf16 on cpu\n",
  );
});

it("of no time at all has no shares of it", () => {
  const times = { sessions: 1, seconds: 0, kinds: [{ kind: "start", seconds: 0, calls: 1 }] };
  expect(timeText({ name: "b", times })).toMatch(/^start +0\.00 +0\.0 +1$/m);
});

it("is a section of a page, with a block a run, and none without one", () => {
  expect(timeSections([])).toEqual([]);
  const [section, ...others] = timeSections([
    { name: "the experiment", times: { sessions: 1, seconds: 8, kinds } },
    { name: "<b>", times: { sessions: 1, seconds: 8, kinds, training } },
  ]);
  expect(others).toEqual([]);
  expect(section.heading).toBe("Where the time went");
  const page = parseHTML(`<div id="all">${section.content}</div>`).document as unknown as Node;
  const texts = (root: Node, selector: string) => Array.from(root.querySelectorAll(selector), (one) => one.textContent);
  expect(texts(page, "h3")).toEqual(["the experiment", "<b>"]);
  const rows = Array.from(page.querySelectorAll("tbody tr"));
  const shown = [
    ["backward", "5.26", "65.7", "12,000"],
    ["policy", "2.24", "28.1", "12,000"],
    ["other", "0.50", "6.3", "–"],
  ];
  expect(rows.map((row) => texts(row, "th, td"))).toEqual([...shown, ...shown]);
  const bars = rows.slice(0, 3).map((row) => row.getAttribute("style"));
  expect(bars).toEqual(["--share: 65.7%", "--share: 28.1%", "--share: 6.3%"]);
});
