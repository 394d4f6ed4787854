/**
 * Checks Kubernetes manifests against published definitions of their kinds (CustomResourceDefinition), as an API server does, and with
 * names that no definition has as errors; rules that are written in CEL are not looked at:
 *
 *     node scripts/check-manifests.mjs trainer.kubeflow.org_*.yaml -- examples/cluster/kubernetes-*.yaml
 *
 * The definitions of Kubeflow Trainer lie in its repository, in `manifests/base/crds`.
 */
import { readFileSync } from "node:fs";
import { Ajv } from "ajv";
import { parseAllDocuments } from "yaml";

const separator = process.argv.indexOf("--");
const [definitions, manifests] = [process.argv.slice(2, separator), process.argv.slice(separator + 1)];
if (separator < 3 || manifests.length === 0) throw new Error("usage: check-manifests.mjs CRD… -- MANIFEST…");

const documents = (path) => parseAllDocuments(readFileSync(path, "utf8")).map((document) => document.toJS());

/** Without what it does not name. */
function closed(schema) {
  if (typeof schema !== "object" || schema === null) return schema;
  if (Array.isArray(schema)) return schema.map(closed);
  const inner = Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, closed(value)]));
  const isOpen =
    !schema.properties || typeof schema.type !== "string" || schema["x-kubernetes-preserve-unknown-fields"];
  return isOpen ? inner : { ...inner, additionalProperties: false };
}

const ajv = new Ajv({ allErrors: true, strict: false, validateFormats: false });
const checks = new Map(
  definitions
    .flatMap(documents)
    .flatMap(({ spec: { group, names, versions } }) =>
      versions.map(({ name, schema }) => [
        `${group}/${name} ${names.kind}`,
        ajv.compile(closed(schema.openAPIV3Schema)),
      ]),
    ),
);

for (const path of manifests) {
  for (const manifest of documents(path)) {
    const what = `${manifest.apiVersion} ${manifest.kind}`;
    const check = checks.get(what);
    const faults = check === undefined ? ["is of no kind that is defined"] : check(manifest) ? [] : check.errors;
    for (const { instancePath, message, params } of faults.map((one) => (one.message ? one : { message: one }))) {
      process.stderr.write(
        `${path}: ${what}: ${instancePath ?? ""} ${message} ${params ? JSON.stringify(params) : ""}\n`,
      );
      process.exitCode = 1;
    }
    if (faults.length === 0) process.stdout.write(`${path}: ${what} ${manifest.metadata.name}: as defined\n`);
  }
}
