"""Prints records of an event file as TensorBoard's own messages make them, for test/formats/tensorboard-events.test.ts.

    pip install tensorboard==2.21
    python scripts/generate-event-records.py
"""

import struct

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.tensorflow_stub.pywrap_tensorflow import masked_crc32c
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

WALL_TIME = 1700000001.5


def record(event: Event) -> str:
    data = event.SerializeToString(deterministic=True)
    length = struct.pack("<Q", len(data))
    crcs = [struct.pack("<I", masked_crc32c(part)) for part in (length, data)]
    return (length + crcs[0] + data + crcs[1]).hex()


def image() -> Event:
    event = Event(wall_time=WALL_TIME, step=3)
    value = event.summary.value.add(tag="examples/test")
    value.image.height, value.image.width, value.image.colorspace = 2, 5, 3
    value.image.encoded_image_string = bytes.fromhex("89504e470d0a1a0a")
    return event


def hyperparameters() -> Event:
    content = HParamsPluginData()
    hparams = content.session_start_info.hparams
    hparams["curriculum"].bool_value = True
    hparams["lr"].number_value = 0.5
    hparams["model"].string_value = "R8_Scenes"
    hparams["turns"].bool_value = False
    event = Event(wall_time=WALL_TIME)
    value = event.summary.value.add(tag="_hparams_/session_start_info")
    value.metadata.plugin_data.plugin_name = "hparams"
    value.metadata.plugin_data.content = content.SerializeToString(deterministic=True)
    return event


if __name__ == "__main__":
    print(record(image()))
    print(record(hyperparameters()))
