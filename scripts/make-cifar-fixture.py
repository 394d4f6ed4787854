"""Small CIFAR archives for test/data/cifar.test.ts: the official layouts with two images a file.

    python3 scripts/make-cifar-fixture.py test/golden/cifar

Needs numpy (written with 2.4.6). Image n of a split (counted over its files) has the value
(n * 40 + channel * 80 + row * 2 + column) % 256 at each pixel, the label (n * 3 + 1) % classes
and the coarse label (n * 7 + 11) % 20. The pickles are
written as Python 2 wrote the official ones: protocol 2, byte strings for keys and data, numpy.core's old name.
"""

import gzip
import io
import pathlib
import pickle
import sys
import tarfile

import numpy as np

PER_FILE = 2


def image(n: int) -> np.ndarray:
    channel, row, column = np.ogrid[:3, :32, :32]
    return ((n * 40 + channel * 80 + row * 2 + column) % 256).astype(np.uint8).reshape(3072)


class Python2Pickler(pickle._Pickler):
    """Writes bytes with Python 2's opcodes for str: SHORT_BINSTRING and BINSTRING."""

    dispatch = dict(pickle._Pickler.dispatch)

    def save_str(self, value: bytes) -> None:
        if len(value) < 256:
            self.write(b"U" + bytes([len(value)]) + value)
        else:
            self.write(b"T" + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch[bytes] = save_str


def python_file(labels: dict[bytes, list[int]], images: np.ndarray) -> bytes:
    out = io.BytesIO()
    Python2Pickler(out, protocol=2).dump({b"batch_label": b"fixture", **labels, b"data": images})
    return out.getvalue().replace(b"numpy._core.multiarray", b"numpy.core.multiarray")


def write_archive(path: pathlib.Path, folder: str, files: dict[str, bytes]) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        directory = tarfile.TarInfo(folder)
        directory.type = tarfile.DIRTYPE
        tar.addfile(directory)
        for name, data in files.items():
            info = tarfile.TarInfo(f"{folder}/{name}")
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    path.write_bytes(gzip.compress(packed.getvalue(), mtime=0))


def make(target: pathlib.Path, title: str, classes: int, splits: list[list[str]], folders: tuple[str, str]) -> None:
    python, binary = {}, {}
    for files in splits:
        for number, name in enumerate(files):
            indices = range(number * PER_FILE, (number + 1) * PER_FILE)
            labels = [(n * 3 + 1) % classes for n in indices]
            images = np.stack([image(n) for n in indices])
            coarse = [(n * 7 + 11) % 20 for n in indices]
            if classes == 10:
                records = [bytes([label]) + pixels.tobytes() for label, pixels in zip(labels, images)]
                python[name] = python_file({b"labels": labels}, images)
            else:
                pairs = zip(coarse, labels)
                records = [bytes(pair) + pixels.tobytes() for pair, pixels in zip(pairs, images)]
                python[name] = python_file({b"fine_labels": labels, b"coarse_labels": coarse}, images)
            binary[f"{name}.bin"] = b"".join(records)
    write_archive(target / f"{title}-python.tar.gz", folders[0], {**python, "readme.html": b"<html></html>"})
    write_archive(target / f"{title}-binary.tar.gz", folders[1], {**binary, "readme.html": b"<html></html>"})


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    batches = [f"data_batch_{number}" for number in range(1, 6)]
    make(folder, "cifar-10", 10, [batches, ["test_batch"]], ("cifar-10-batches-py", "cifar-10-batches-bin"))
    make(folder, "cifar-100", 100, [["train"], ["test"]], ("cifar-100-python", "cifar-100-binary"))
