"""Golden images for test/data/transforms.test.ts: what torchvision's transforms make of a formula's pixels with Pillow.

    python3 scripts/golden/transforms.py > test/golden/transforms.json

Needs Pillow (written with 13.0.0), not torchvision: Resize, CenterCrop, RandomCrop, Pad and RandomHorizontalFlip are spelt
out as torchvision 0.29 calls Pillow for them. The lots are chosen here: `integers` are pairs of a bound and the number
drawn below it (top, then left), `uniform` below 0.5 flips. Without lots it is the test transform. The input is not stored:
pixel n of the byte array is (n * n * 31 + n * 7) >> 3 & 255.
"""

import base64
import json
import sys

import PIL
from PIL import Image, ImageOps

PADDING = 4


def formula(width: int, height: int) -> Image.Image:
    values = bytes(((n * n * 31 + n * 7) >> 3) & 255 for n in range(width * height * 3))
    return Image.frombytes("RGB", (width, height), values)


def resize(image: Image.Image, shorter: int) -> Image.Image:
    """Resize(shorter): the longer side is truncated."""
    width, height = image.size
    to = (shorter, int(shorter * height / width)) if width <= height else (int(shorter * width / height), shorter)
    return image.resize(to, Image.BILINEAR)


def crop(image: Image.Image, top: int, left: int, size: int) -> Image.Image:
    return image.crop((left, top, left + size, top + size))


def center_crop(image: Image.Image, size: int) -> Image.Image:
    width, height = image.size
    return crop(image, int(round((height - size) / 2.0)), int(round((width - size) / 2.0)), size)


def random_crop(image: Image.Image, size: int, where: tuple[float, float]) -> tuple[Image.Image, list[list[int]]]:
    """RandomCrop(size), at shares of the room there is."""
    width, height = image.size
    bounds = [height - size + 1, width - size + 1]
    top, left = (int(share * (bound - 1)) for share, bound in zip(where, bounds))
    return crop(image, top, left, size), [[bounds[0], top], [bounds[1], left]]


def case(transform: str, width: int, height: int, size: int, lots: tuple[float, float, bool] | None) -> dict:
    image = formula(width, height)
    image = resize(image, round(size * 256 / 224) if transform == "imagenet" else size)
    integers, uniform = [], None
    if transform == "cifar" or lots is None:
        image = center_crop(image, size)
    if lots is not None:
        if transform == "cifar":
            image = ImageOps.expand(image, border=PADDING, fill=0)
        image, integers = random_crop(image, size, lots[:2])
        if transform != "fmow":
            uniform = 0.25 if lots[2] else 0.75
            image = image.transpose(Image.FLIP_LEFT_RIGHT) if lots[2] else image
    drawn = {} if lots is None else {"integers": integers, **({} if uniform is None else {"uniform": uniform})}
    bytes_ = base64.b64encode(image.tobytes()).decode()
    return {"transform": transform, "from": [width, height], "size": size, **drawn, "bytes": bytes_}


SIZES = [(40, 30, 16), (21, 37, 14), (14, 14, 14), (9, 7, 14)]
LOTS = [None, (0.0, 1.0, False), (0.4, 0.7, True), (1.0, 0.0, True)]
cases = [case(name, *sizes, lots) for name in ("cifar", "imagenet", "fmow") for sizes in SIZES for lots in LOTS]
lines = ",\n".join(f"  {json.dumps(entry)}" for entry in cases)
sys.stdout.write(f'{{\n "pillow": "{PIL.__version__}",\n "cases": [\n{lines}\n ]\n}}\n')
