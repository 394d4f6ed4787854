import { Writable } from "node:stream";
import { afterEach, describe, expect, it, vi } from "vitest";
import { createProgress, progressLine } from "../../src/utils/progress.ts";

afterEach(() => vi.unstubAllEnvs());

/** A stream that keeps what is written to it; `columns` makes it a terminal. */
function stream(columns?: number): { out: NodeJS.WriteStream; text: () => string } {
  let text = "";
  const writable = new Writable({
    write(chunk, _, done) {
      text += chunk;
      done();
    },
  });
  const out = Object.assign(
    writable,
    columns === undefined ? {} : { isTTY: true, columns },
  ) as unknown as NodeJS.WriteStream;
  return { out, text: () => text };
}

/** What a terminal's current line shows: the text since the last return to column 1, without control sequences. */
function shownLine(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal control sequences are what is removed
  return (text.split("\u001b[1G").at(-1) ?? "").replace(/\u001b(\[[?\d;]*[A-Za-z]|[78])/g, "");
}

const at = { label: "pretrain 3/200", total: 1000, done: 250, seconds: 10, numbers: { reward: "0.31", S: 7.5 } };

describe("progressLine", () => {
  it("gives share, time left, rate and numbers", () => {
    // 250 images in 10 s are 25 a second, and the other 750 take 30 s
    expect(progressLine(at)).toBe("pretrain 3/200: 25 % · 30 s left · 25 images/s · reward 0.31 · S 7.5");
  });

  it("fills what a terminal has left with a bar", () => {
    const line = progressLine(at, 100);
    expect(line).toBe(
      "pretrain 3/200 ████████░░░░░░░░░░░░░░░░░░░░░░ 25 % · 30 s left · 25 images/s · reward 0.31 · S 7.5",
    );
  });

  it.each([
    [80, "pretrain 3/200 ███░░░░░░░░░ 25 % · 30 s left · 25 images/s · reward 0.31 · S 7.5"],
    [70, "pretrain 3/200 25 % · 30 s left · 25 images/s · reward 0.31 · S 7.5"],
    [60, "pretrain 3/200 25 % · 30 s left · 25 images/s · reward 0.31"],
    [40, "pretrain 3/200 ██░░░░░░ 25 % · 30 s left"],
    [22, "pretrain 3/200 25 %"],
    [10, "pretrain 3"],
    [0, ""],
  ])("fits %i columns", (columns, expected) => {
    expect(progressLine(at, columns)).toBe(expected);
    expect(expected.length).toBeLessThanOrEqual(columns);
  });

  it("never divides by nothing", () => {
    expect(progressLine({ ...at, done: 0, seconds: 0, numbers: {} })).toBe("pretrain 3/200: 0 %");
    expect(progressLine({ ...at, total: 0, done: 0, numbers: {} })).toBe("pretrain 3/200: 100 %");
  });

  it.each([
    [59.4, "59 s"],
    [200, "3 min 20 s"],
    [7500, "2 h 5 min"],
  ])("writes %f seconds as %s", (left, text) => {
    expect(progressLine({ ...at, done: 500, seconds: left, numbers: {} })).toContain(` ${text} left`);
  });
});

describe("createProgress", () => {
  it("prints one line after each silent minute where there is no terminal", () => {
    const { out, text } = stream();
    let ms = 5000;
    const progress = createProgress({ label: "train", total: 1000, stream: out, now: () => ms });
    for (let second = 1; second <= 125; second++) {
      ms += 1000;
      progress.update(second * 5, { loss: second });
    }
    progress.note("saved");
    progress.stop();
    expect(text()).toBe(
      "train: 30 % · 2 min 20 s left · 5 images/s · loss 60\n" +
        "train: 60 % · 1 min 20 s left · 5 images/s · loss 120\n" +
        "saved\n",
    );
  });

  it("draws a bar on a terminal, within its width, and takes it away", () => {
    const { out, text } = stream(60);
    let ms = 0;
    const progress = createProgress({ label: "train", total: 100, stream: out, now: () => ms });
    ms = 1000;
    progress.update(50, { loss: 0.5 });
    expect(shownLine(text())).toBe("train ██████░░░░░░ 50 % · 1 s left · 50 images/s · loss 0.5");
    progress.note("saved ckpt_E_1");
    progress.update(75);
    progress.stop();
    progress.stop();
    expect(text()).toContain("saved ckpt_E_1\n");
    expect(shownLine(text())).toBe("");
    // Neither colours (NO_COLOR) nor a hidden cursor or changed wrapping that a killed process would leave behind
    // biome-ignore lint/suspicious/noControlCharactersInRegex: terminal control sequences are what is looked for
    expect(text()).not.toMatch(/\u001b\[[\d;]*m|\u001b\[\?25l|\u001b\[\?7l/);
  });

  it("treats a dumb terminal as none", () => {
    vi.stubEnv("TERM", "dumb");
    const { out, text } = stream(80);
    const progress = createProgress({ label: "train", total: 10, stream: out });
    progress.update(5);
    progress.stop();
    expect(text()).toBe("");
  });

  it("prints nothing when it shall be quiet", () => {
    const { out, text } = stream(80);
    const progress = createProgress({ label: "train", total: 10, stream: out, quiet: true });
    progress.update(5);
    progress.note("saved");
    progress.stop();
    expect(text()).toBe("");
  });

  it.each([
    [undefined, "EPIPE"],
    [80, "EPIPE"],
    [80, "EIO"], // of a terminal that was closed
    [undefined, "ENOSPC"],
  ])("goes quiet when its stream can't be written to (columns %s, %s)", async (columns, code) => {
    let writes = 0;
    const writable = new Writable({
      autoDestroy: false,
      write(_chunk, _encoding, done) {
        writes++;
        done(Object.assign(new Error(`write ${code}`), { code }));
      },
    });
    const out = Object.assign(writable, { isTTY: columns !== undefined, columns }) as unknown as NodeJS.WriteStream;
    const progress = createProgress({ label: "train", total: 10, stream: out });
    progress.note("first");
    await new Promise((resolve) => setTimeout(resolve, 20));
    const before = writes;
    expect(before).toBeGreaterThan(0);
    progress.note("second");
    progress.update(5);
    progress.stop();
    createProgress({ label: "next", total: 10, stream: out }).note("third");
    expect(writes).toBe(before);
    expect(out.listenerCount("error")).toBe(1);
  });
});
