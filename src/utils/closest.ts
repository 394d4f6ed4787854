/** Which known word an unknown one was meant to be. */

/**
 * The candidate that is the fewest typing errors away, the first of equals; undefined if each would take more than one error
 * in three letters.
 */
export function closest(word: string, candidates: readonly string[]): string | undefined {
  const near = candidates
    .map((candidate) => ({ candidate, edits: editDistance(word, candidate) }))
    .filter(({ candidate, edits }) => 3 * edits <= Math.max(word.length, candidate.length));
  return near.sort((a, b) => a.edits - b.edits)[0]?.candidate;
}

/** The same as words for an error. */
export function didYouMean(word: string, candidates: readonly string[]): string | undefined {
  const candidate = closest(word, candidates);
  return candidate === undefined ? undefined : `did you mean ${candidate}?`;
}

/** Levenshtein's: letters that are inserted, left out or replaced on the way from `a` to `b`, prefix by prefix of `a`. */
function editDistance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (const [i, letter] of [...a].entries()) {
    const next = [i + 1];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j] + 1, next[j - 1] + 1, row[j - 1] + (letter === b[j - 1] ? 0 : 1)));
    }
    row = next;
  }
  return row[b.length];
}
