"""The command line of a script that makes one golden file: it is written, checked, or a test's tolerance measured."""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

from make import as_json


def parser(doc: str, tolerance: float = 1e-5) -> argparse.ArgumentParser:
    found = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = found.add_mutually_exclusive_group()
    actions.add_argument("--check", action="store_true", help="compare instead of writing")
    actions.add_argument("--spread", action="store_true", help="compare with another layout")
    found.add_argument("--tolerance", type=float, default=tolerance, help="largest distance (%(default)s)")
    return found


def serve(
    args: argparse.Namespace,
    file: Path,
    content: Callable[[bool], dict],
    distances: Callable[[dict, dict], list[tuple[float, str]]],
) -> None:
    """`content` gives what the file holds, or with True the same in another layout; `distances` how far two are apart, and where."""
    if not (args.check or args.spread):
        text = as_json(content(False)) + "\n"
        file.write_text(text)
        print(f"{file.name} {len(text)} bytes")
        return
    found = distances(content(args.spread), json.loads(file.read_text()))
    for apart, place in found:
        print(f"{apart:.1e} {place}")
    worst, where = max(found)
    if args.check:
        raise SystemExit(0 if worst <= args.tolerance else f"{worst:.1e} {where}")
