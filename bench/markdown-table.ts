/** A Markdown table, aligned; its first `words` columns to the left, the numbers to the right. */
export function markdownTable(header: readonly string[], rows: readonly (readonly string[])[], words: number): string {
  const widths = header.map((_, i) => Math.max(...[header, ...rows].map((row) => row[i].length)));
  const line = (row: readonly string[]) =>
    `| ${row.map((cell, i) => (i < words ? cell.padEnd(widths[i]) : cell.padStart(widths[i]))).join(" | ")} |\n`;
  const rule = widths.map((width, i) => (i < words ? "-".repeat(width) : `${"-".repeat(width - 1)}:`));
  return [header, rule, ...rows].map(line).join("");
}
