"""Writes the golden values of `test/golden/*.json` with PyTorch, or checks that they still hold.

    python3 scripts/golden/make.py            write all files
    python3 scripts/golden/make.py --check    recompute and compare; exit 1 beyond the tolerance
    python3 scripts/golden/make.py --spread   print how far the channels-last layout leads: what a test must tolerate

Runs on one thread in float32, contiguous, so that the files come out the same on the same machine and PyTorch.
"""

import argparse
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path

import torch
from cases import FILES
from stages import Execution
from summary import Summary, distance

FOLDER = Path(__file__).resolve().parents[2] / "test" / "golden"
EXPRESSIONS = {
    "states": "formula.values(8, salt); formula.images(8); formula.fill(network, base).state_dict()",
    "forward": "classifier(images), policy(low_resolution(images, 8)); cross_entropy(logits, labels).backward()",
    "optimizers": "SGD, Adam: two times classifier_step(classifier, batch, optimizer); clip_grad_norm_",
    "schedules": "get_last_lr() of torch.optim.lr_scheduler before step n",
    "method": "method.py on formula logits [4, 16] and uniforms",
    "classifier-training": "three times stages.classifier_step, the same batch",
    "pretrain": "three times stages.pretrain_step, the same images, new uniforms; all 16 patches decided",
    "pretrain-curriculum": "as pretrain, in epoch 9: the first 10 patches decided",
    "finetune": "three times stages.finetune_step, the same images, new uniforms",
    "finetune2stream": "as finetune, with the LR classifier's logits added",
    "finetune2stream-2019": "as finetune2stream, with the rules of 2019: sum over images, frozen batch norm, mixed logits",
    "evaluate": "stages.evaluate from the formula's weights, one stream and two",
}
DEFAULT_TOLERANCE = 1e-5


def as_json(value: object, indent: int = 0) -> str:
    """JSON with one line for a list of scalars, and one for each entry of anything else."""
    inner = " " * (indent + 1)
    if isinstance(value, dict):
        lines = [f"{inner}{json.dumps(k)}: {as_json(v, indent + 1)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"
    if isinstance(value, list) and value and all(isinstance(v, list) for v in value):
        return "[\n" + ",\n".join(inner + as_json(v, indent + 1) for v in value) + "\n" + " " * indent + "]"
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        return "[" + ", ".join(as_json(v, indent) for v in value) + "]"
    return json.dumps(value, separators=(",", ":"))


def content(name: str, run: Execution) -> dict:
    header = {
        "expression": EXPRESSIONS[name],
        "torch": torch.__version__.split("+")[0],
        "script": "scripts/golden/make.py",
    }
    return header | FILES[name](run)


def compare(found: object, golden: object, path: str) -> Iterator[tuple[float, str]]:
    """(distance, where) of all numbers; infinite where text, whole numbers or structure differ."""
    if isinstance(found, Summary) and isinstance(golden, list):
        yield distance(found, golden), path
    elif isinstance(found, dict) and isinstance(golden, dict) and found.keys() == golden.keys():
        for key in found:
            yield from compare(found[key], golden[key], f"{path}.{key}")
    elif isinstance(found, list) and isinstance(golden, list) and len(found) == len(golden):
        if found and all(isinstance(x, float) for x in found):
            size = max(math.sqrt(sum(x * x for x in golden) / len(golden)), 1e-30)
            yield max(abs(x - y) for x, y in zip(found, golden, strict=True)) / size, path
        else:
            for k, (x, y) in enumerate(zip(found, golden, strict=True)):
                yield from compare(x, y, f"{path}[{k}]")
    elif isinstance(found, float) and isinstance(golden, float):
        yield abs(found - golden) / max(abs(golden), 1e-30), path
    else:
        yield (0.0 if found == golden else math.inf), path


def check(tolerance: float) -> bool:
    """Prints for each file the largest distance and where it is. True if all are within the tolerance."""
    good = True
    for name in FILES:
        golden = json.loads((FOLDER / f"{name}.json").read_text())
        found = content(name, Execution()) | {"torch": golden["torch"]}
        worst, where = max(compare(found, golden, name))
        good &= worst <= tolerance
        print(f"{'ok  ' if worst <= tolerance else 'FAIL'} {worst:.1e} {where}")
    return good


def spread() -> None:
    """Prints the distances that another order of summation makes, by file and kind of value."""
    print(f"{'':52}   n  median     p90     max")
    for name in FILES:
        golden = json.loads((FOLDER / f"{name}.json").read_text())
        by_kind: dict[str, list[float]] = {}
        for apart, path in compare(content(name, Execution(channels_last=True)), golden, name):
            kind = re.match(r"(.*?\.(changes|gradients|statistics))\.", path)
            by_kind.setdefault(kind[1] if kind else f"{name}: all else", []).append(apart)
        for kind_name, distances in by_kind.items():
            distances.sort()
            middle, most = distances[len(distances) // 2], distances[len(distances) * 9 // 10]
            print(f"{kind_name:50} {len(distances):5} {middle:7.0e} {most:7.0e} {distances[-1]:7.0e}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("--check", action="store_true", help="compare instead of writing")
    actions.add_argument("--spread", action="store_true", help="compare with the channels-last layout")
    parser.add_argument("--tolerance", type=float, default=DEFAULT_TOLERANCE, help="largest distance (%(default)s)")
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.spread:
        spread()
    elif args.check:
        raise SystemExit(0 if check(args.tolerance) else 1)
    else:
        write()


def write() -> None:
    for name in FILES:
        text = as_json(content(name, Execution())) + "\n"
        (FOLDER / f"{name}.json").write_text(text)
        print(f"{name}.json {len(text)} bytes")


if __name__ == "__main__":
    main()
