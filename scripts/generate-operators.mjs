/**
 * Writes src/native/operators.generated.ts: a typed wrapper for each libtorch operator that this program calls, with
 * the argument encodings that the operator's schema requires. A wrapper passes what the schema says and nothing else,
 * so a wrong argument is a TypeScript error and never a crash in C++.
 *
 *   node scripts/generate-operators.mjs [--check] PATH/TO/torchgen/packaged/ATen/native/native_functions.yaml
 *
 * --check writes nothing and exits with 1 if the file differs from what this libtorch's schemas give.
 * (The yaml is part of every PyTorch wheel. mkldnn:: operators are registered in C++, so their schemas are given here; a
 * test compares them with the loaded libtorch's registry.)
 */
import { readFileSync, writeFileSync } from "node:fs";
import { parse } from "yaml";

/** Operators of aten that are called, `name.overload`. */
const operators = `
  _backward _fused_adam_ _fused_adam_.tensor_lr _fused_sgd_ _fused_sgd_.tensor_lr _to_copy adaptive_avg_pool2d all argmax avg_pool2d
  batch_norm cat contiguous conv2d cross_entropy_loss div.Tensor eq.Tensor expand flip gather ge.Tensor gelu index_copy
  index_select isfinite lerp.Tensor linalg_eigh linear log lt.Tensor max_pool2d maximum mean mean.dim minimum mm mul.Tensor neg nonzero permute
  relu6_ relu_ reshape select.int sigmoid slice.Tensor softmax.int split_with_sizes sqrt sum sum.dim_IntList upsample_nearest2d
  view view.dtype where.self
`
  .trim()
  .split(/\s+/);

/** Source: aten/src/ATen/native/mkldnn/RegisterMkldnnOpContextClass.cpp of PyTorch 2.10–2.15. */
export const mkldnn = [
  "mkldnn::_convolution_pointwise(Tensor X, Tensor W, Tensor? B, SymInt[] padding, SymInt[] stride, SymInt[] dilation, SymInt groups, str attr, Scalar?[] scalars, str? algorithm) -> Tensor Y",
  "mkldnn::_convolution_pointwise.binary(Tensor X, Tensor other, Tensor W, Tensor? B, SymInt[] padding, SymInt[] stride, SymInt[] dilation, SymInt groups, str binary_attr, Scalar? alpha, str? unary_attr, Scalar?[] unary_scalars, str? unary_algorithm) -> Tensor Y",
  "mkldnn::_reorder_convolution_weight(Tensor self, SymInt[] padding, SymInt[] stride, SymInt[] dilation, SymInt groups, SymInt[]? input_size=None) -> Tensor Y",
];

/** Schema type → [TypeScript type, encoder]; a type that is absent here has no encoding. */
const encodings = {
  Tensor: ["Handle", "putTensor"],
  "Tensor?": ["Handle | null", "putOptionalTensor"],
  "Tensor[]": ["readonly Handle[]", "putTensorList"],
  int: ["number", "putInt"],
  SymInt: ["number", "putInt"],
  "int?": ["number | null", "putOptionalInt"],
  "SymInt?": ["number | null", "putOptionalInt"],
  "int[]": ["readonly number[]", "putIntList"],
  "SymInt[]": ["readonly number[]", "putIntList"],
  "int[]?": ["readonly number[] | null", "putOptionalIntList"],
  "SymInt[]?": ["readonly number[] | null", "putOptionalIntList"],
  float: ["number", "putFloat"],
  "float?": ["number | null", "putOptionalFloat"],
  bool: ["boolean", "putBool"],
  "bool?": ["boolean | null", "putOptionalBool"],
  ScalarType: ["number", "putInt"],
  "ScalarType?": ["number | null", "putOptionalInt"],
  "Layout?": ["number | null", "putOptionalInt"],
  "Device?": ["null", "putOptionalInt"],
  MemoryFormat: ["number", "putInt"],
  "MemoryFormat?": ["number | null", "putOptionalInt"],
  str: ["string", "putString"],
  "str?": ["string | null", "putOptionalString"],
  "Scalar?": ["null", "putOptionalInt"],
  "Scalar?[]": ["readonly []", "putEmptyList"],
};

function parseSchema(schema) {
  const [, name, overload = "", parameters, results] = /^([\w:]+)(?:\.(\w+))?\((.*)\) -> (.*)$/.exec(schema);
  const list = parameters === "" ? [] : parameters.split(/, (?=[*A-Za-z])/).filter((p) => p !== "*");
  return { schema, name, overload, parameters: list.map(parseParameter), results };
}

function parseParameter(text) {
  // Tensor(a!)[] → Tensor[]; int[2] → int[]: aliasing annotations and lengths do not change the encoding.
  const plain = text.replace(/\([^)]*\)/g, "").replace(/\[\d+\]/g, "[]");
  const [, type, name] = /^(\S+) (\w+)/.exec(plain);
  return { name, type };
}

function camel(text) {
  const words = text
    .replace(/^_/, "")
    .replace(/_$/, "InPlace")
    .split(/[_.:]+/)
    .filter(Boolean);
  return words.map((w, i) => (i === 0 ? w[0].toLowerCase() : w[0].toUpperCase()) + w.slice(1)).join("");
}

function wrapper({ schema, name, overload, parameters, results }) {
  const own = name.replace(/^aten::/, "").replace("::", "_");
  // Overloads that differ only by taking a Tensor keep the plain name; others say which they are.
  const functionName =
    camel(own) +
    (["", "Tensor", "self", "int"].includes(overload)
      ? ""
      : camel(overload)[0].toUpperCase() + camel(overload).slice(1));
  const names = parameters.map((p) => camel(p.name));
  const types = parameters.map((p) => {
    const encoding = encodings[p.type];
    if (encoding === undefined) throw new Error(`${schema}: no encoding for ${p.type} ${p.name}`);
    return encoding;
  });
  const puts = parameters.map((_, i) =>
    types[i][1] === "putEmptyList" ? `  ${types[i][1]}(${i});` : `  ${types[i][1]}(${i}, ${names[i]});`,
  );
  const unused = parameters.map((_, i) => (types[i][1] === "putEmptyList" ? "_" : ""));
  const tensors = names.filter((_, i) => types[i][0].startsWith("Handle"));
  const result = /^\(\)$/.test(results)
    ? ["void", ""]
    : /^Tensor(\([^)]*\))?\[\]$/.test(results)
      ? ["Handle[]", "  return takeTensorList(0);"]
      : /^Tensor(\([^)]*\))?( \w+)?$/.test(results)
        ? ["Handle", "  return takeTensor(0);"]
        : /^\(Tensor \w+, Tensor \w+\)$/.test(results)
          ? ["[Handle, Handle]", "  return [takeTensor(0), takeTensor(1)];"]
          : undefined;
  if (result === undefined) throw new Error(`${schema}: no decoding for the result`);
  return [
    `const ${functionName}Name = operatorName("${name}", "${overload}");`,
    `/** ${schema} */`,
    `export function ${functionName}(${names.map((n, i) => `${unused[i]}${n}: ${types[i][0]}`).join(", ")}): ${result[0]} {`,
    ...puts,
    `  invoke(${functionName}Name${tensors.length ? `, [${tensors.join(", ")}]` : ""});`,
    ...(result[1] === "" ? [] : [result[1]]),
    "}",
    "",
  ].join("\n");
}

function generate(yamlPath) {
  const schemas = new Map();
  for (const { func } of parse(readFileSync(yamlPath, "utf8"))) schemas.set(func.slice(0, func.indexOf("(")), func);
  const chosen = operators.map((name) => {
    if (!schemas.has(name)) throw new Error(`${yamlPath} has no operator ${name}`);
    return parseSchema(`aten::${schemas.get(name)}`);
  });
  const wrappers = [...chosen, ...mkldnn.map(parseSchema)].map(wrapper);
  const body = wrappers.join("\n");
  const helpers = [...new Set(body.match(/\b(put|take)\w+(?=\()/g))].sort();
  return [
    "// Generated by scripts/generate-operators.mjs from libtorch's operator schemas; do not edit.",
    `import { invoke, operatorName, ${helpers.join(", ")} } from "./call.ts";`,
    'import type { Handle } from "./symbols.ts";',
    "",
    body,
    "/** The schemas that the wrappers above were made from. */",
    `export const schemas: readonly string[] = ${JSON.stringify([...chosen.map((o) => o.schema), ...mkldnn], null, 2)};`,
    "",
  ].join("\n");
}

const target = new URL("../src/native/operators.generated.ts", import.meta.url);
const checking = process.argv.includes("--check");
const yamlPath = process.argv.slice(2).find((a) => !a.startsWith("--"));
if (yamlPath === undefined) {
  console.error("usage: node scripts/generate-operators.mjs [--check] native_functions.yaml");
  process.exit(2);
}
const text = generate(yamlPath);
if (!checking) writeFileSync(target, text);
else if (readFileSync(target, "utf8") !== text) {
  console.error(`${target.pathname} differs from what ${yamlPath} gives`);
  process.exit(1);
}
