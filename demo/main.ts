/**
 * The page: a picture is chosen, the policy looks at its coarse copy and takes patches, the classifier answers, and
 * they are compared with random patches. All arithmetic is elsewhere; here is what follows what.
 */
import { countPatches, makeGrid, pixelsRead, randomMask } from "../src/method/grid.ts";
import { mostInRound } from "../src/method/rounds.ts";
import { Random } from "../src/utils/random.ts";
import { type Known, likeliest, showAnswer, showComparison, showEvaluation, showRead } from "./answers.ts";
import { countAdded, type Look, lookAt } from "./choose.ts";
import type { SetDescription } from "./description.ts";
import { byId, make, patchesOf, percent, whole } from "./dom.ts";
import { Engine } from "./engine.ts";
import { HeldPicture } from "./held.ts";
import { isSmall, reveal, showAtOnce, showLook } from "./panels.ts";
import { readPicture } from "./picture.ts";
import { type Answered, showRounds } from "./rounds.ts";
import { type ModelSet, modelSets } from "./sets.ts";

const randomDraws = 20;
/** From this calibrated confidence on a picture leaves early, where the visitor wants that. */
const sureEnough = 0.9;
/** The slider passes over many numbers on its way to one. */
const settledMs = 150;

/** A picture that can be chosen. */
interface Picture extends Known {
  readonly name: string;
  /** Of its thumbnail. */
  readonly url: string;
  file(): Promise<Blob>;
}

/** What is known of the chosen picture. */
interface Looked {
  readonly description: SetDescription;
  readonly known: Known;
  readonly bytes: Uint8Array;
  readonly held: HeldPicture;
  /** The classifier's on all patches, [K]. */
  readonly whole: Float32Array;
}

const engine = new Engine();
let set: ModelSet;
let own: Picture | undefined;
let looked: Looked | undefined;
/** How often the visitor has asked for something, and how much of that is under way. */
let [asked, underWay] = [0, 0];

/** Whether nothing else was asked for meanwhile: an answer that comes too late is dropped. */
type IsCurrent = () => boolean;

/** Patches that the visitor wants; as many as the policy does when undefined. */
let budget: number | undefined;

const [file, slider, policyDecides, exits] = [
  byId("file", "input"),
  byId("budget", "input"),
  byId("policy-decides", "button"),
  byId("exits", "input"),
];

file.addEventListener("change", () => {
  const [chosen] = file.files ?? [];
  // The same file may be chosen again.
  file.value = "";
  if (chosen !== undefined) ask((isCurrent) => bringOwn(chosen, isCurrent));
});
takeDropped();
addEventListener("paste", ({ clipboardData }) => {
  const [pasted] = clipboardData?.files ?? [];
  if (pasted !== undefined) ask((isCurrent) => bringOwn(pasted, isCurrent));
});
slider.addEventListener("input", () => spendOf(slider.valueAsNumber));
policyDecides.addEventListener("click", () => spendOf(undefined));
exits.addEventListener("change", () => spendOf(budget));

offerSets();
ask((isCurrent) => openSet(modelSets[0], isCurrent));

function spendOf(wanted: number | undefined): void {
  budget = wanted;
  ask(spend);
}

/** Does what the visitor asked for; what goes wrong is said on the page. */
function ask(work: (isCurrent: IsCurrent) => Promise<void>): void {
  const mine = ++asked;
  const isCurrent = () => mine === asked;
  const fault = byId("fault", "p");
  fault.textContent = "";
  showUnderWay(1);
  work(isCurrent)
    .catch((error: unknown) => {
      if (isCurrent()) fault.textContent = error instanceof Error ? error.message : String(error);
    })
    .finally(() => showUnderWay(-1));
}

/** A file may be dropped anywhere on the page. What else is dragged over it (text, a link) is the browser's. */
function takeDropped(): void {
  const holdsFile = ({ dataTransfer }: DragEvent) => dataTransfer?.types.includes("Files") ?? false;
  const showOver = (isOver: boolean) => document.body.classList.toggle("dropping", isOver);
  addEventListener("dragover", (event) => {
    if (!holdsFile(event)) return;
    // Else the browser would leave the page for the picture.
    event.preventDefault();
    showOver(true);
  });
  // It leaves each element on its way; the window itself when there is none that it goes to.
  addEventListener("dragleave", ({ relatedTarget }) => {
    if (relatedTarget === null) showOver(false);
  });
  addEventListener("drop", (event) => {
    showOver(false);
    if (!holdsFile(event)) return;
    event.preventDefault();
    const [dropped] = event.dataTransfer?.files ?? [];
    if (dropped !== undefined) ask((isCurrent) => bringOwn(dropped, isCurrent));
  });
}

function showUnderWay(more: number): void {
  underWay += more;
  byId("page", "main").ariaBusy = String(underWay > 0);
}

function offerSets(): void {
  const radios = modelSets.map((one, at) => {
    const radio = make("input", { type: "radio", name: "set" });
    radio.defaultChecked = at === 0;
    radio.addEventListener("change", () => ask((isCurrent) => openSet(one, isCurrent)));
    return make("label", { class: "tab" }, radio, make("span", {}, one.description.title));
  });
  const sets = byId("sets", "fieldset");
  sets.append(...radios);
  sets.hidden = modelSets.length < 2;
}

async function openSet(chosen: ModelSet, isCurrent: IsCurrent): Promise<void> {
  set = chosen;
  looked = undefined;
  const { description, models } = chosen;
  describeSet(description);
  offerPictures();
  showWhetherChosen(pictures().length > 0);
  slider.disabled = policyDecides.disabled = true;
  const loading = byId("loading", "p");
  loading.hidden = false;
  await engine.call("open", { models, description }).finally(() => {
    if (set === chosen) loading.hidden = true;
  });
  const [first] = pictures();
  if (isCurrent() && first !== undefined) await look(first, isCurrent);
}

/** Without a picture there is nothing to see of what the policy does. */
function showWhetherChosen(isChosen: boolean): void {
  byId("page", "main").classList.toggle("without-picture", !isChosen);
  byId("no-picture", "p").hidden = isChosen;
  byId("pictures", "fieldset").hidden = !isChosen;
}

function describeSet(description: SetDescription): void {
  const { about, classes, imageSize, evaluation, model, arch, checkpoint, fill, temperature } = description;
  byId("set-about", "p").textContent = `${about} The classes: ${classes.join(", ")}.`;
  byId("own-note", "span").textContent =
    `Or drop one anywhere on the page, or paste one. It is cut to its middle square and shrunk to ${imageSize} × ${imageSize} pixels, here in the browser. Whatever it shows, the answer is one of the ${classes.length} classes.`;
  byId("budget-note", "p").textContent = budgetNote(description);
  byId("exits-choice", "label").hidden = temperature === undefined;
  byId("exits-at", "span").textContent = percent(sureEnough);
  const computing =
    arch === "patches"
      ? "So is computing: this classifier does no work for patches that were dropped."
      : `Computing is not: the classifier still works through the full-sized picture, with ${fill === "lr" ? "the coarse picture" : "nothing"} in the patches that were dropped.`;
  byId("read-note", "p").textContent =
    `Reading is what is saved: pixels that a camera, a satellite or a disk need not deliver. ${computing}`;
  byId("origin", "span").textContent = `Networks: ${model}, checkpoint ${checkpoint}.`;
  showEvaluation(evaluation);
}

function budgetNote({ imageSize, patchSize, rounds = 1 }: SetDescription): string {
  if (rounds === 1) {
    return "Left to itself, the policy takes every patch that it wants with 50\u00a0% or more. With a budget it takes that many: those that it wants most.";
  }
  const most = mostInRound(makeGrid(imageSize, patchSize).patches, rounds);
  return `Left to itself, the policy takes in each of up to ${rounds} rounds the patches that it wants with 50\u00a0% or more, at most ${most}, and stops when there are none. With a budget it takes that many, in each round those that it wants most.`;
}

function pictures(): Picture[] {
  const samples = set.description.samples.map(({ file: name, label }, at) => {
    const url = set.url(name);
    return { name: `picture ${at + 1}, ${label}`, label, url, file: async () => (await fetch(url)).blob() };
  });
  return own === undefined ? samples : [...samples, own];
}

/** @param checked the picture that is chosen */
function offerPictures(checked = 0): void {
  const labels = pictures().map((picture, at) => {
    const radio = make("input", { type: "radio", name: "picture" });
    radio.defaultChecked = at === checked;
    radio.addEventListener("change", () => ask((isCurrent) => look(picture, isCurrent)));
    const image = make("img", { src: picture.url, alt: picture.name });
    image.classList.toggle("enlarged", picture !== own && isSmall(set.description.imageSize));
    return make(
      "label",
      { class: "sample" },
      radio,
      image,
      make("small", { "aria-hidden": "true" }, picture.label ?? "yours"),
    );
  });
  byId("pictures-legend", "legend").textContent =
    set.description.samples.length === 0 ? "Your picture" : "Test pictures, picked at random, or your own";
  byId("samples", "div").replaceChildren(...labels);
}

async function bringOwn(chosen: File, isCurrent: IsCurrent): Promise<void> {
  // Read first: a file that is no picture leaves everything as it was.
  await readPicture(chosen, set.description);
  if (own !== undefined) URL.revokeObjectURL(own.url);
  own = { name: `your picture ${chosen.name}`, url: URL.createObjectURL(chosen), file: async () => chosen };
  offerPictures(set.description.samples.length);
  showWhetherChosen(true);
  await look(own, isCurrent);
}

/** The policy looks at a picture; then it decides by itself. */
async function look(picture: Picture, isCurrent: IsCurrent): Promise<void> {
  const { description } = set;
  const bytes = await readPicture(await picture.file(), description);
  const held = new HeldPicture(engine, bytes);
  const [{ after }] = await lookAt(held, description);
  const onAll = await held.classify(after.map(() => 1));
  if (!isCurrent()) return;
  looked = { description, known: picture, bytes, held, whole: onAll };
  reveal();
  budget = undefined;
  await spend(isCurrent);
}

/** Reads as many patches as the visitor wants, or those that the policy takes by itself. */
async function spend(isCurrent: IsCurrent): Promise<void> {
  if (looked === undefined) return;
  const { description, known, bytes, held } = looked;
  const { temperature } = description;
  const exit = exits.checked && temperature !== undefined ? { confidence: sureEnough, temperature } : undefined;
  const looks = await lookAt(held, description, { budget, exit });
  if (!isCurrent()) return;
  const last = looks.at(-1)!;
  const mask = last.after;
  if (budget !== undefined) showAtOnce();
  showBudget(countPatches(mask), mask.length);
  showLook(bytes, last, description);
  showRead(mask, description);
  const answered = await Promise.all(looks.map(async (one) => ({ ...one, answer: await held.classify(one.after) })));
  if (!isCurrent()) return;
  const { answer } = answered.at(-1)!;
  showRounds({ bytes, looks: answered, description, budget }, (look) => showLook(bytes, look, description));
  showAnswer(answer, known, description);
  await new Promise((resolve) => setTimeout(resolve, settledMs));
  if (!isCurrent()) return;
  say(answered, looked);
  await compare(answer, mask, looked, isCurrent);
}

/** The slider stays where the visitor put it, also where fewer patches are taken, since the picture leaves. */
function showBudget(count: number, patches: number): void {
  slider.disabled = policyDecides.disabled = false;
  slider.max = String(patches);
  slider.valueAsNumber = budget ?? count;
  const taken = budget === undefined || budget === count ? patchesOf(count) : `${count} of ${patchesOf(budget)}`;
  slider.setAttribute("aria-valuetext", taken);
  byId("budget-count", "span").textContent = taken;
  policyDecides.ariaPressed = String(budget === undefined);
}

/** For a screen reader, once all is there. */
function say(looks: readonly Answered[], { description, known }: Looked): void {
  const { classes, imageSize, patchSize, lowSize, rounds = 1 } = description;
  const { answer, after: mask, leaves } = looks.at(-1)!;
  const best = likeliest(answer);
  const count = countPatches(mask);
  const early =
    leaves === undefined ? "" : `, and no more, since the classifier is ${percent(leaves)} sure, calibrated`;
  const verdict =
    known.label === undefined ? "" : known.label === classes[best] ? ", right" : `, wrong: ${known.label}`;
  const read = pixelsRead(makeGrid(imageSize, patchSize), count, lowSize);
  byId("status", "p").textContent =
    `${patchesOf(count)} of ${mask.length} taken${rounds === 1 ? "" : inRounds(looks)}${early}. Answer: ${classes[best]}, ${percent(answer[best])}${verdict}. ${whole(read)} of ${whole(imageSize ** 2)} pixels read.`;
}

function inRounds(looks: readonly Look[]): string {
  const taking = looks.filter((look) => countAdded(look) > 0).length;
  if (taking === 0) return "";
  return ` in ${taking === 1 ? "1 round" : `${taking} rounds`}`;
}

/** Compares the mask with the same number of random patches, and with all. */
async function compare(
  answer: Float32Array,
  mask: Uint8Array,
  { description, known, held, whole: onAll }: Looked,
  isCurrent: IsCurrent,
): Promise<void> {
  const { imageSize, patchSize, lowSize, classes, fill } = description;
  const grid = makeGrid(imageSize, patchSize);
  const count = countPatches(mask);
  const masks = Array.from({ length: randomDraws }, (_, draw) =>
    randomMask(grid, count, new Random(1, "random patches", draw)),
  );
  const draws = await held.classifyAll(masks);
  if (!isCurrent()) return;
  const lowOfRandom = fill === "lr" ? lowSize : 0;
  const reference = known.label === undefined ? likeliest(onAll) : classes.indexOf(known.label);
  const rows = [
    { name: `the policy’s ${count}`, draws: [answer], pixels: pixelsRead(grid, count, lowSize) },
    // Random patches need the coarse picture only to fill what is dropped, and all need none.
    { name: `${count} at random, mean of ${randomDraws} draws`, draws, pixels: pixelsRead(grid, count, lowOfRandom) },
    { name: `all ${grid.patches}`, draws: [onAll], pixels: pixelsRead(grid, grid.patches, 0) },
  ];
  showComparison(rows, reference, description, known);
}
