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
    ).toContain('">−1.0 (−2.0 … 0.0)</td>');
  });

  it("has a column for each reward, so that no two are compared", () => {
    const row = (name: string, reward: number, rewardName: string) => ({
      ...{ name, kind: "policy" as const, accuracy: 0.5, reward, rewardName },
    });
    const rows = [row("a", 0.25, "quadratic, penalty -1"), row("b", 1.125, "linear"), row("c", 1.5, "linear")];
    expect(
      textTable({ rows })
        .split("\n")
        .map((line) => line.slice(-18)),
    ).toEqual([
      "reward 1  reward 2",
      "--------  --------",
      ...["   0.250         –", "       –     1.125", "       –     1.500", ""],
    ]);
    const text = htmlTable({ rows }).toString();
    expect(text).toContain("<b>reward 1</b> mean reward: quadratic, penalty −1<");
    expect(text).toContain("<b>reward 2</b> mean reward: linear<");
    expect(htmlTable({ rows: rows.slice(1) }).toString()).toContain("<b>reward</b> mean reward: linear<");
  });

  it("passes no character on to the terminal that turns the direction of writing", () => {
    expect(textTable(named("a\u202Eb\u2066c"))).toContain("a\uFFFDb\uFFFDc  ");
  });

  it("passes no control character on to the terminal", () => {
    expect(textTable(named("a\u001b[31mred\nb"))).toContain("a\uFFFD[31mred\uFFFDb  ");
  });

  it("is a header alone without rows", () => {
    expect(textTable({ rows: [] })).toBe("  accuracy %  S  V  masks  reward\n  ----------  -  -  -----  ------\n");
  });
});

describe("a table over seeds", () => {
  const even = (mean: number, half: number) => ({ mean, low: mean - half, high: mean + half });
  const overSeeds = {
    seeds: [1, 2, 5],
    sameForAll: [],
    rows: [
      { name: "policy (pretrain)", kind: "policy" as const, accuracy: even(0.845, 0.0061), patches: even(9.93, 0.418) },
      {
        ...{
          name: "centre patches",
          kind: "baseline" as const,
          accuracy: even(0.835, 0.01),
          patches: even(9.93, 0.418),
        },
        gain: even(0.01, 0.012),
      },
    ],
  };
  const foot =
    "Means over 3 seeds (1, 2, 5) with intervals of 95 % over the seeds (Student's t, 2 degrees of freedom).";

  it("has means with their intervals, and says of what", () => {
    expect(textTable(overSeeds)).toBe(
      [
        "                   accuracy %            S       policy's gain",
        "-----------------  ----------  -----------  ------------------",
        "policy (pretrain)  84.5 ± 0.6  9.93 ± 0.42                   –",
        "centre patches     83.5 ± 1.0  9.93 ± 0.42  +1.0 (-0.2 … +2.2)",
        "",
        foot,
        "",
      ].join("\n"),
    );
  });

  it("has no gain where there is no policy", () => {
    const [policy] = overSeeds.rows;
    expect(
      textTable({ ...overSeeds, rows: [policy] })
        .split("\n")[0]
        .trim(),
    ).toBe("accuracy %            S");
  });

  it("says the same below the page's table", () => {
    const text = htmlTable(overSeeds).toString();
    expect(text).toContain(
      '<tr class="policy"><th scope="row">policy (pretrain)</th><td data-name="accuracy %">84.5 ± 0.6</td>',
    );
    expect(text).toContain('">+1.0 (−0.2 … +2.2)</td>');
    expect(text).toContain(`<p class="note">${foot.replace("'", "&#39;")}</p>`);
  });

  it("names the stages that seeds do not change, and counts", () => {
    expect(textTable({ ...overSeeds, seeds: [1, 2], sameForAll: ["hr", "lr"] })).toContain(
      "Means over 2 seeds (1, 2) with intervals of 95 % over the seeds (Student's t, 1 degree of freedom). The file sets the seed of hr, lr: one for all.\n",
    );
  });
});

describe("htmlTable", () => {
  it("marks the policy's row, and writes a true minus", () => {
    const text = htmlTable(table).toString();
    expect(text).toContain(
      '<tr class="policy"><th scope="row">policy after finetuning</th><td data-name="accuracy %">91.4</td>',
    );
    expect(text).toContain('<td data-name="reward">−0.021</td></tr>');
    expect(text).toContain('<tr class="baseline"><th scope="row">HR classifier, all patches</th>');
  });
});
