/** The grid of a sharp image that does not exist yet: as fine as a model wants it where the low resolution is at hand. */

import { fault } from "../errors.ts";
import type { CoarseImage } from "./coarse-image.ts";
import { type Affine, type Georeference, georeference } from "./georeference.ts";
import type { LowResolution, SharpSource } from "./patch-source.ts";

export class PlannedScene implements SharpSource {
  readonly where: string;
  readonly width: number;
  readonly height: number;
  readonly georeference: Georeference;
  readonly taken = undefined;
  readonly isPlanned = true;
  readonly wholeBytes = 0;
  readonly tiles = undefined;

  /** A pixel of the coarse image is a block of the low resolution. */
  constructor(coarse: CoarseImage, { imageSize, lowSize }: LowResolution) {
    const block = imageSize / lowSize;
    this.where = coarse.where;
    this.width = Math.round(coarse.width * block);
    this.height = Math.round(coarse.height * block);
    const [a, b, c, d, e, f] = coarse.georeference.affine;
    const affine: Affine = [a / block, b / block, c, d / block, e / block, f];
    this.georeference = georeference(coarse.georeference.epsg, affine, coarse.where);
  }

  isFree(): boolean {
    return false;
  }

  fetchPatches(): never {
    throw fault("internal", { where: this.where, rule: "must not be read, as it is only planned" });
  }

  async close(): Promise<void> {}
}
