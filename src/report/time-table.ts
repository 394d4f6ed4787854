/** What the time of a run, or of an experiment, went to, as text and as a part of a page. */
import { computerText, type KindTime, type RunTimes, type Times } from "../utils/profile.ts";
import { html, type Markup } from "./html.ts";
import type { Section } from "./policies.ts";
import { alignedText, decimals, percent } from "./table.ts";

export interface NamedTimes {
  readonly name: string;
  readonly times: RunTimes;
}

/** The table for a terminal, ending in a line break. */
export function timeText({ name, times }: NamedTimes): string {
  const rows = rowsOf(times).map(({ kind, seconds, share, calls }) => [kind, seconds, percent(share), calls]);
  return `${name}: ${summaryOf(times)}\n\n${alignedText([["where the time went", "seconds", "%", "calls"], ...rows])}`;
}

/** None for no section. */
export function timeSections(all: readonly NamedTimes[]): Section[] {
  if (all.length === 0) return [];
  const blocks = all.map(timeBlock);
  const content = html`<div class="side">${blocks}</div><p class="note">${howToRead}</p>`;
  return [{ heading: "Where the time went", content }];
}

const howToRead =
  "Seconds by the clock on the wall, the time of each kind of work without that of the kinds inside it, and how often it was " +
  "begun. Images per second are those of training, without start, tests and saving.";

function timeBlock({ name, times }: NamedTimes): Markup {
  const rows = rowsOf(times).map(({ kind, seconds, share, calls }) => {
    const cells = [seconds, percent(share), calls].map((text) => html`<td>${text}</td>`);
    return html`<tr style="--share: ${percent(share)}%"><th scope="row">${kind}</th>${cells}</tr>`;
  });
  return html`<div><h3>${name}</h3><p>${summaryOf(times)}</p><table class="plain times">
<thead><tr><th scope="col"><span class="unseen">kind of work</span></th><th scope="col">seconds</th><th scope="col">%</th><th scope="col">calls</th></tr></thead>
<tbody>${rows}</tbody>
</table></div>`;
}

/** What takes most first. */
function rowsOf({ seconds: all, kinds }: Times) {
  return kinds
    .toSorted((a, b) => b.seconds - a.seconds)
    .map(({ kind, seconds, calls }: KindTime) => ({
      kind,
      seconds: decimals(seconds, 2),
      share: all === 0 ? 0 : seconds / all,
      // What is left over was never begun.
      calls: calls === 0 ? "–" : calls.toLocaleString("en"),
    }));
}

/** "84.2 s in 2 sessions; 16,000 images, 612 a second; 2 threads, bf16 on cpu" */
function summaryOf({ seconds, sessions, training }: RunTimes): string {
  const time = `${decimals(seconds, 1)} s${sessions === 1 ? "" : ` in ${sessions} sessions`}`;
  if (training === undefined) return time;
  const { images, imagesPerSecond } = training;
  const speed = `${images.toLocaleString("en")} images, ${decimals(imagesPerSecond, imagesPerSecond < 10 ? 1 : 0)} a second`;
  return `${time}; ${speed}; ${computerText(training)}`;
}
