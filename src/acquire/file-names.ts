/** What the files of an acquisition are called, in its folder. */

export const fileNames = {
  predictions: "predictions.jsonl",
  patches: "patches.geojson",
  order: "order.geojson",
  masked: "masked.tif",
  savings: "savings.json",
  item: "item.json",
} as const;
