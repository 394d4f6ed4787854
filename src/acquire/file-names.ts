/** What the files of an acquisition are called, in its folder. */

export const fileNames = {
  predictions: "predictions.jsonl",
  patches: "patches.geojson",
  cells: "patches.parquet",
  order: "order.geojson",
  masked: "masked.tif",
  savings: "savings.json",
  item: "item.json",
  /** Of several scenes. */
  items: "items.json",
} as const;
