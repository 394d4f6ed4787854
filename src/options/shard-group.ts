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
  requests: whole(1, 1000).optional().describe("with --manifest: requests to one host at a time (default: 16)"),
};

interface ShardGiven {
  readonly manifest?: string | undefined;
  readonly shard?: string | undefined;
  readonly requests?: number | undefined;
}

type Refinement = [(given: ShardGiven) => boolean, { path: string[]; message: string }];

/** For `refine`: what is said of a list is said with it. */
export const shardNeedsManifest: Refinement = [
  ({ shard, manifest }) => shard === undefined || manifest !== undefined,
  { path: ["shard"], message: "needs --manifest, the list that it is a part of" },
];
export const requestsNeedManifest: Refinement = [
  ({ requests, manifest }) => requests === undefined || manifest !== undefined,
  { path: ["requests"], message: "needs --manifest, whose files are requested" },
];
