import { describe, expect, it } from "vitest";
import { decimals, htmlTable, percent, textTable } from "../../src/report/table.ts";
import { samplePage } from "./sample.ts";

const { table } = samplePage();
const named = (name: string) => ({ rows: [{ name, kind: "baseline" as const, accuracy: 1 }] });

describe("numbers", () => {
  it.each([
    [0.8764, "87.6"],
    [0.87651, "87.7"],
    [1, "100.0"],
    [0, "0.0"],
    [Number.NaN, "NaN"],
  ])("writes the share %d as %s %%", (share, text) => {
    expect(percent(share)).toBe(text);
  });

  it.each([
    [7.204, 2, "7.20"],
    [-0.0214, 3, "-0.021"],
    [-0.0004, 3, "0.000"], // no minus before a zero
    [-0.6, 0, "-1"],
    [3187, 0, "3187"],
    [undefined, 2, "–"],
    [Number.NEGATIVE_INFINITY, 2, "-Infinity"],
  ])("writes %d with %d decimals as %s", (value, places, text) => {
    expect(decimals(value, places)).toBe(text);
  });
});

describe("textTable", () => {
  it("aligns names left and numbers right", () => {
    expect(textTable(table)).toBe(
      [
        "                            accuracy %      S     V  masks  reward",
        "--------------------------  ----------  -----  ----  -----  ------",
        "HR classifier, all patches        92.6  16.00  0.00      1       –",
        "policy after finetuning           91.4   7.20  2.13   3187  -0.021",
        "",
      ].join("\n"),
    );
  });

  it("has the policy's gain over each baseline, with its interval, where it is known", () => {
    const gain = { mean: 0.0123, low: -0.0004, high: 0.025 };
    const rows = [...table.rows, { name: "centre patches", kind: "baseline" as const, accuracy: 0.9, gain }];
    const lines = textTable({ rows }).split("\n");
    expect(lines[0]).toMatch(/ reward +policy's gain$/);
    expect(lines.slice(2, 5).map((line) => line.slice(-18))).toEqual([
      "                 –",
      "                 –",
      "+1.2 (0.0 … +2.5)".padStart(18),
    ]);
    expect(
      htmlTable({ rows: rows.map((row) => ({ ...row, gain: { mean: -0.01, low: -0.02, high: 0 } })) }).toString(),
    ).toContain("<td>−1.0 (−2.0 … 0.0)</td>");
  });

  it("passes no control character on to the terminal", () => {
    expect(textTable(named("a\u001b[31mred\nb"))).toContain("a\uFFFD[31mred\uFFFDb  ");
  });

  it("is a header alone without rows", () => {
    expect(textTable({ rows: [] })).toBe("  accuracy %  S  V  masks  reward\n  ----------  -  -  -----  ------\n");
  });
});

describe("htmlTable", () => {
  it("marks the policy's row, and writes a true minus", () => {
    const text = htmlTable(table).toString();
    expect(text).toContain('<tr class="policy"><th scope="row">policy after finetuning</th><td>91.4</td>');
    expect(text).toContain("<td>−0.021</td></tr>");
    expect(text).toContain('<tr class="baseline"><th scope="row">HR classifier, all patches</th>');
  });
});
