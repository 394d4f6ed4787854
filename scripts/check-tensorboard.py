"""Prints the scalars that TensorBoard's own reader finds in a run folder, as JSON: {tag: [[step, value], ...]}.

    pip install tensorboard
    python scripts/check-tensorboard.py RUN_FOLDER

For use by hand: the tests compare our bytes with TensorBoard's without needing it.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import SCALARS, EventAccumulator


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    events = EventAccumulator(sys.argv[1], size_guidance={SCALARS: 0})
    events.Reload()
    tags = events.Tags()[SCALARS]
    print(json.dumps({tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags}, indent=1))


if __name__ == "__main__":
    main()
