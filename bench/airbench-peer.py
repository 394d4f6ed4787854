"""The fastest known training of CIFAR-10 to 94 %, on a CPU: a side of `npm run bench -- --unit result`.

    python3 bench/airbench-peer.py --data_dir cifar10 --out runs/airbench --threads 2

It runs the PyPI package `airbench` (Keller Jordan, MIT license by its package's classifier,
https://github.com/KellerJordan/cifar10-airbench): its networks, optimizer, schedules, whitening, Lookahead, augmentation and
loop, imported and not copied. What asks for CUDA there is restated here: tensors stay on the CPU, halves are floats, and the
forward pass runs in bfloat16 autocast with --precision bf16; channels-last is the package's own. The optimizer is fused.
The images come from class folders, train/<class>/ and test/<class>/.

An accuracy is of one look at each test image as it is. The package's own figure is of six (mirrored and moved), which --tta 2
prints too, when all is done. Evaluations are as many as --test_interval asks for: by default one, at the end.
"""

import argparse
import functools
import os
import tempfile
import time
from math import ceil
from pathlib import Path

import airbench
import torch
from airbench import utils
from torch import Tensor, nn

from class_folders import Images, Log, read
from peer import keep_memory

TRAININGS = {
    "93": (airbench.train93, airbench.make_net93, 11.0),
    "94": (airbench.train94, airbench.make_net94, 9.9),
    "95": (airbench.train95, airbench.make_net95, 15.0),
}
"""Of each: the training, its network, its own number of epochs."""


class HostEvent:
    """torch.cuda.Event without a GPU."""

    def __init__(self, **_options: object) -> None:
        self.time = 0.0

    def record(self) -> None:
        self.time = time.perf_counter()

    def elapsed_time(self, end: "HostEvent") -> float:
        return 1000 * (end.time - self.time)


def stay_on_cpu() -> None:
    """What the package calls of CUDA does nothing, or its equal on a CPU."""
    nn.Module.cuda = lambda module, *_args, **_options: module
    nn.Module.half = nn.Module.float
    Tensor.half = Tensor.float
    torch.cuda.Event = HostEvent
    torch.cuda.synchronize = lambda: None
    torch.optim.SGD = functools.partial(torch.optim.SGD, fused=True)
    start = utils.CifarLoader.__init__
    start.__defaults__ = (*start.__defaults__[:-1], "cpu")  # its last argument: the GPU


def with_autocast(network: nn.Module) -> nn.Module:
    """The same network, whose forward pass is in bfloat16 and gives float32. Its parts keep their names."""
    forward = network.forward

    def cast(inputs: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return forward(inputs).float()

    network.forward = cast
    return network


def save(images: Images, file: Path) -> None:
    """As the package's loader reads it."""
    torch.save({"images": images.pixels, "labels": images.labels, "classes": images.classes}, file)


def evaluation(log: Log, test: Images, last: int, args: argparse.Namespace):
    """In place of the package's `evaluate`, which the loop calls after each epoch, and once more at the end."""
    done = 0

    def evaluate(model: nn.Module, loader: utils.CifarLoader, tta_level: int = 0) -> float:
        nonlocal done
        done += 1
        if done > last:
            if args.tta > 0:
                right = utils.infer(model, loader, tta_level).argmax(1) == loader.labels
                log.say(tta=tta_level, accuracy=right.double().mean().item())
            return 0.0
        if done < last and done % args.test_interval != 0:
            log.say(epoch=done)
            return 0.0
        return log.evaluated(done, test, utils.infer(model, loader).argmax(1))

    return evaluate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True, help="folder for evaluations and predictions")
    parser.add_argument("--net", choices=list(TRAININGS), default="94", help="the package's training (%(default)s)")
    parser.add_argument("--epochs", type=float, help="default: the training's own, 9.9 of 94")
    parser.add_argument("--batch_size", type=int, default=1024)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--precision", choices=["fp32", "bf16"], default="fp32")
    parser.add_argument("--test_interval", type=int, default=10**6, help="epochs between evaluations")
    parser.add_argument("--tta", type=int, choices=[0, 1, 2], default=0)
    args = parser.parse_args()
    log = Log(args.out.resolve())
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    keep_memory()
    stay_on_cpu()
    train, make_net, own_epochs = TRAININGS[args.net]
    epochs = args.epochs or own_epochs
    test = read((args.data_dir / "test").resolve(), args.threads)
    training = read((args.data_dir / "train").resolve(), args.threads)
    if len(training.labels) < args.batch_size:
        parser.error(f"--batch_size: must be at most {len(training.labels)}, the number of training images")
    if (len(training.classes), training.pixels.shape[1]) != (10, 32):
        parser.error("--data_dir: must hold ten classes of 32 × 32 pixels, as CIFAR-10 does")
    utils.evaluate = evaluation(log, test, ceil(epochs), args)
    utils.print_training_details = lambda *_args, **_options: None
    utils.print_columns = lambda *_args, **_options: None
    with tempfile.TemporaryDirectory() as folder:
        os.chdir(folder)  # the loop opens its test images by a path of its own
        cifar = Path("cifar10")
        cifar.mkdir()
        save(training, cifar / "train.pt")
        save(test, cifar / "test.pt")
        own = {"flip": True, "translate": 2}
        loader = utils.CifarLoader("cifar10", train=True, batch_size=args.batch_size, aug=own, altflip=True)
        make = (lambda: with_autocast(make_net())) if args.precision == "bf16" else make_net
        train(loader, epochs=epochs, tta_level=args.tta, make_net=make)
        os.chdir("/")


if __name__ == "__main__":
    main()
