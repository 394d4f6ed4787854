/** The rounds of a policy that looks again: what is there after each, and what the classifier makes of it. */
import { countPatches } from "../src/method/grid.ts";
import { likeliest } from "./answers.ts";
import { countAdded, type Look } from "./choose.ts";
import type { SetDescription } from "./description.ts";
import { byId, make, patchesOf, percent } from "./dom.ts";
import { thumbnail } from "./panels.ts";

/** A look, and the classifier's probabilities [K] after it. */
export interface Answered extends Look {
  readonly answer: Float32Array;
}

export interface Rounds {
  readonly bytes: Uint8Array;
  readonly looks: readonly Answered[];
  readonly description: SetDescription;
  readonly budget: number | undefined;
}

/** One can go through them; the last is chosen. Of a policy that decides once nothing is shown. */
export function showRounds({ bytes, looks, description, budget }: Rounds, choose: (look: Look) => void): void {
  const { rounds = 1, classes } = description;
  byId("rounds", "fieldset").hidden = rounds === 1;
  if (rounds === 1) return;
  const labels = looks.map((look, at) => {
    const radio = make("input", { type: "radio", name: "round" });
    radio.defaultChecked = at === looks.length - 1;
    radio.addEventListener("change", () => choose(look));
    const count = countPatches(look.after);
    const best = likeliest(look.answer);
    const lines = [
      look.leaves === undefined ? `Round ${at + 1}` : "Leaves",
      patchesOf(count),
      `${classes[best]}, ${percent(look.answer[best])}`,
    ];
    const said = lines.map((line) => make("small", {}, line));
    const label = make("label", { class: "sample" }, radio, thumbnail(bytes, look, description), ...said);
    label.dataset.probability = String(look.answer[best]);
    return label;
  });
  byId("rounds-strip", "div").replaceChildren(...labels);
  byId("rounds-end", "p").textContent = endOf(looks, budget);
}

function endOf(looks: readonly Look[], budget: number | undefined): string {
  const last = looks.at(-1)!;
  if (last.leaves !== undefined) {
    return `Before round ${looks.length} the classifier is ${percent(last.leaves)} sure, calibrated: the picture leaves.`;
  }
  if (budget !== undefined) return "The budget is spent.";
  if (countAdded(last) > 0) return "The rounds are over.";
  return `In round ${looks.length} it asks for nothing${last.before.includes(1) ? " more" : ""}: it stops.`;
}
