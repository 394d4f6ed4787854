/** How work reports and is stopped, for programs. */
import { describe, expect, it, vi } from "vitest";
import { consoleReporter } from "../../src/utils/console-reporter.ts";
import { loose, type Reporter, silentReporter, stopOn } from "../../src/utils/reporter.ts";

it("asks for a stop once the signal is aborted, and before that when the reporter does", () => {
  const controller = new AbortController();
  let own: ReturnType<Reporter["stopping"]>;
  const reporter = stopOn(controller.signal, { ...silentReporter, stopping: () => own });
  expect(reporter.stopping()).toBeUndefined();
  own = "SIGHUP";
  expect(reporter.stopping()).toBe("SIGHUP");
  controller.abort();
  expect(reporter.stopping()).toBe("SIGTERM");
});

it("writes notes to stderr and asks for no stop; nothing when it is quiet", ({ onTestFinished }) => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  onTestFinished(() => write.mockRestore());
  const reporter = consoleReporter();
  reporter.note("one");
  const bar = reporter.progress("training", 10);
  reporter.note("two");
  bar.stop();
  consoleReporter({ quiet: true }).note("three");
  expect(write.mock.calls.map(([text]) => text)).toEqual(["one\n", "two\n"]);
  expect(reporter.stopping()).toBeUndefined();
});

it("tells after a silent minute how far it is, though no step takes one", ({ onTestFinished }) => {
  const write = vi.spyOn(process.stderr, "write").mockReturnValue(true);
  let seconds = 0;
  const clock = vi.spyOn(performance, "now").mockImplementation(() => 1000 * seconds);
  vi.stubEnv("TERM", "dumb");
  onTestFinished(() => {
    vi.unstubAllEnvs();
    clock.mockRestore();
    write.mockRestore();
  });
  const reporter = consoleReporter();
  const step = (name: string) => {
    const bar = reporter.progress(name, 100);
    seconds += 25;
    bar.update(50);
    bar.stop();
  };
  for (const name of ["a", "b", "c", "d"]) step(name);
  reporter.note("done");
  for (const name of ["e", "f"]) step(name);
  // A line at 75 s, and a note at 100 s, from which the next minute counts.
  expect(write.mock.calls.map(([text]) => text)).toEqual(["c: 50 % · 25 s left · 2 images/s\n", "done\n"]);
});

describe("a reporter of a class", () => {
  /** It needs to be itself where its functions are called. */
  class Listener implements Reporter {
    readonly notes: string[] = [];
    readonly progress = silentReporter.progress;

    note(text: string): void {
      this.notes.push(text);
    }

    stopping() {
      return this.notes.includes("stop") ? ("SIGINT" as const) : undefined;
    }
  }

  it("may have its functions handed on alone, and be stopped by a signal of its own", () => {
    const listener = new Listener();
    const { note, stopping } = loose(listener);
    const stopped = { aborted: false };
    const { note: further, stopping: orAborted } = stopOn(stopped, listener);
    note("one");
    further("two");
    expect(listener.notes).toEqual(["one", "two"]);
    expect([stopping(), orAborted()]).toEqual([undefined, undefined]);
    stopped.aborted = true;
    expect([stopping(), orAborted()]).toEqual([undefined, "SIGTERM"]);
    note("stop");
    stopped.aborted = false;
    expect([stopping(), orAborted()]).toEqual(["SIGINT", "SIGINT"]);
  });
});
