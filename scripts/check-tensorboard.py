"""Prints what TensorBoard's own reader finds in a run folder, as JSON: scalars {tag: [[step, value], ...]}, images
{tag: [[step, width, height], ...]}, and the hyperparameters.

    pip install tensorboard
    python scripts/check-tensorboard.py RUN_FOLDER

For use by hand: the tests compare our bytes with TensorBoard's without needing it.
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import IMAGES, SCALARS, EventAccumulator
from tensorboard.plugins.hparams import metadata


def hyperparameters(events: EventAccumulator) -> dict:
    try:
        content = events.PluginTagToContent(metadata.PLUGIN_NAME)[metadata.SESSION_START_INFO_TAG]
    except KeyError:
        return {}
    hparams = metadata.parse_session_start_info_plugin_data(content).hparams
    return {name: getattr(value, value.WhichOneof("kind")) for name, value in sorted(hparams.items())}


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    events = EventAccumulator(sys.argv[1], size_guidance={SCALARS: 0, IMAGES: 0})
    events.Reload()
    tags = events.Tags()
    found = {
        "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags[SCALARS]},
        "images": {tag: [[e.step, e.width, e.height] for e in events.Images(tag)] for tag in tags[IMAGES]},
        "hyperparameters": hyperparameters(events),
    }
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
