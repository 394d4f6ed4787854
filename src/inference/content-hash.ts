/**
 * The hash of an exported model's content, in its own metadata: a byte that has changed since would still be a model, with other
 * weights or other numbers of how to feed it.
 */
import { fault } from "../errors.ts";
import { withOnnxMetadata } from "../formats/onnx.ts";
import { outsideMetadata } from "../formats/onnx-metadata.ts";
import { sha256 } from "../utils/sha256.ts";

const key = "content_sha256";
/** Stated in the part that is hashed: else a file whose hash got another name by a changed byte would look like an older one. */
const announcement = ["content", `${key} is the SHA-256 of all bytes but those of its own entry`] as const;

/** The model with its hash. */
export function withContentHash(model: Uint8Array): Uint8Array {
  const announced = withOnnxMetadata(model, ...announcement);
  return withOnnxMetadata(announced, key, sha256(announced));
}

/**
 * @param metadata of the model; those of exports of before 0.2.0 say nothing of their content
 * @throws input: a model that is not as it was written
 */
export function checkContentHash(model: Uint8Array, metadata: ReadonlyMap<string, string>, where: string): void {
  const stated = metadata.get(key);
  if (stated === undefined && !metadata.has(announcement[0])) return;
  const got = sha256(...outsideMetadata(key, model, where));
  if (got === stated) return;
  const rule = `must have the content that was exported, with the SHA-256 ${stated ?? "that it lacks"}`;
  throw fault("input", { where, rule, got, next: "export the run again (patchdrop export), or copy the file again" });
}
