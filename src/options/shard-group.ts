/** The options that say which part of which list of scenes a process does. */
import { z } from "zod";
import { file, shownAs, whole } from "./option.ts";

const shard = z.string().regex(/^\d{1,9}\/[1-9]\d{0,8}$/, "must be I/N, the I-th of N parts, from 0");

export const shardGroup = {
  manifest: file(
    "a list of scenes in place of one: JSON Lines, each line a STAC item or an id and a href, or STAC GeoParquet",
  ).optional(),
  shard: shownAs("I/N", shard)
    .optional()
    .describe(
      "of --manifest, the I-th of N parts, from 0; when absent, as Kubernetes, Slurm or AWS Batch say, else all of it",
    ),
  requests: whole(1, 1000).default(16).describe("with --manifest: requests to one host at a time"),
};

type ShardGiven = Readonly<Partial<Record<"shard" | "manifest", string | undefined>>>;

/** For `refine`: what is a part is a part of something. */
export const shardNeedsManifest: [(given: ShardGiven) => boolean, { path: string[]; message: string }] = [
  ({ shard, manifest }) => shard === undefined || manifest !== undefined,
  { path: ["shard"], message: "needs --manifest, the list that it is a part of" },
];
