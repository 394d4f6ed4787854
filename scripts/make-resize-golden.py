"""Golden images for test/data/resize.test.ts: what Pillow's BILINEAR resize makes of a formula's pixels.

    python3 scripts/make-resize-golden.py > test/golden/resize.json

Needs Pillow (written with 13.0.0). The input is not stored: pixel n of the byte array is (n * n * 31 + n * 7) >> 3 & 255.
`bands` cases have four bands (CMYK, which Pillow resizes as it does RGB), `values` cases one band of float32, value n being
((n * n * 31 + n * 7) & 65535) / 16 - 1000; their results are base64 of little-endian float32.
`crop` cases resize the shorter side to `size` and cut the middle, by torchvision's rules for Resize(size) and
CenterCrop(size).
"""

import base64
import hashlib
import json
import struct
import sys

import PIL
from PIL import Image


def formula(width: int, height: int) -> Image.Image:
    values = bytes(((n * n * 31 + n * 7) >> 3) & 255 for n in range(width * height * 3))
    return Image.frombytes("RGB", (width, height), values)


def answer(image: Image.Image) -> dict:
    data = image.tobytes()
    small = {"bytes": base64.b64encode(data).decode()} if len(data) <= 1200 else {}
    return {**small, "sha256": hashlib.sha256(data).hexdigest()}


def resize_case(width: int, height: int, out_width: int, out_height: int) -> dict:
    image = formula(width, height).resize((out_width, out_height), Image.BILINEAR)
    return {"from": [width, height], "to": [out_width, out_height], **answer(image)}


def bands_case(width: int, height: int, out_width: int, out_height: int) -> dict:
    values = bytes(((n * n * 31 + n * 7) >> 3) & 255 for n in range(width * height * 4))
    image = Image.frombytes("CMYK", (width, height), values).resize((out_width, out_height), Image.BILINEAR)
    return {"from": [width, height], "to": [out_width, out_height], **answer(image)}


def values_case(width: int, height: int, out_width: int, out_height: int) -> dict:
    values = [((n * n * 31 + n * 7) & 65535) / 16 - 1000 for n in range(width * height)]
    image = Image.frombytes("F", (width, height), struct.pack(f"<{len(values)}f", *values))
    return {"from": [width, height], "to": [out_width, out_height], **answer(image.resize((out_width, out_height), Image.BILINEAR))}


def crop_case(width: int, height: int, size: int) -> dict:
    to = (size, int(size * height / width)) if width <= height else (int(size * width / height), size)
    left, top = int(round((to[0] - size) / 2.0)), int(round((to[1] - size) / 2.0))
    image = formula(width, height).resize(to, Image.BILINEAR).crop((left, top, left + size, top + size))
    return {"from": [width, height], "size": size, **answer(image)}


resizes = [(5, 4, 3, 2), (7, 5, 16, 11), (16, 16, 16, 5), (16, 16, 5, 16), (1, 1, 4, 4), (9, 9, 1, 1), (64, 48, 17, 13)]
resizes += [(150, 150, 112, 112), (301, 207, 224, 64), (33, 40, 224, 112), (500, 3, 7, 90)]
few = [(5, 4, 3, 2), (7, 5, 16, 11), (16, 16, 16, 5), (9, 9, 1, 1), (64, 48, 17, 13), (150, 150, 112, 112)]
crops = [(40, 30, 16), (30, 41, 16), (32, 32, 32), (19, 16, 16), (21, 16, 16), (200, 150, 112), (50, 77, 64), (3, 200, 16)]
json.dump(
    {
        "pillow": PIL.__version__,
        "resize": [resize_case(*case) for case in resizes],
        "bands": [bands_case(*case) for case in few],
        "values": [values_case(*case) for case in few],
        "crop": [crop_case(*case) for case in crops],
    },
    sys.stdout,
    indent=1,
)
print()
