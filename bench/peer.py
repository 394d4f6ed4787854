"""The PyTorch side of the benchmark: one stage's step, timed each time that a line "step" arrives on stdin.

    yes step | python3 bench/peer.py --stage pretrain --config best --batch 256 --steps 10 --threads 2

A driver that alternates two such programs, step by step, measures both under the same load. After --warmup steps the
program writes JSON lines on stdout: {"ready": …} once; for each "step" {"step": n, "seconds": s, "loss": x}
with "reward" (the mean) in place of "loss" for eval; and {"done": n, "peakRssBytes": b} when --steps are done or stdin
ends.

A step goes from the batch's bytes and its uniforms to the updated weights, by the functions that make the golden values
(`scripts/golden/stages.py`), on the formula's weights. --config says how:

- reference: float32, contiguous, gradients recorded in every pass (the 2019 code's `volatile` has no effect in today's
  PyTorch), plain optimizers, the allocator as it is. Its masks and thresholds are vectorized here, unlike in 2019.
- best-fp32, best-bf16: channels-last, gradients recorded only where something learns, fused optimizers, and an allocator
  that keeps its memory; float32, or bfloat16 autocast. Which of the two is faster depends on the processor.
- compiled-fp32, compiled-bf16: the same with each network compiled by torch.compile (inductor, which needs a C++ compiler).
  A network that nothing learns is frozen into its code, with its batch norm folded. {"ready": …} then has
  "compileSeconds": how much longer the first step took than the second one. Nothing is taken from the compiler's caches.

--device cuda computes on the GPU. The best configurations then upload from pinned memory and, unless --graph is off,
capture their step as a CUDA graph, as PyTorch's documentation does; the reference does neither.

--model R34_fMoW takes torchvision's ResNet-34 and the policy for 112 × 112 images in place of CIFAR's ResNet-32.

--unit epoch times whole epochs of 10 batches in place of steps, with a loader: the reference's is torchvision's
RandomCrop(padding=4) and RandomHorizontalFlip image by image in a DataLoader with 8 workers, as in 2019, but hands over
bytes; the best crops and flips a batch at a time where the images lie in memory. eval reads in order and moves nothing.

--ranks trains on so many processes with DistributedDataParallel over gloo, each with its share of the batch; the first one
speaks, of its own share's loss.

--verify runs the golden steps instead and prints each loss beside the golden one.
"""

import argparse
import ctypes
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, Adam, Optimizer

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts" / "golden"))

import cases  # noqa: E402
import formula  # noqa: E402
from stages import Actor, Batch, Execution, Rules, classifier_step, evaluate, finetune_step, pretrain_step  # noqa: E402

GOLDEN_FILES = {
    "classifier": "classifier-training",
    "pretrain": "pretrain",
    "finetune": "finetune",
    "finetune2stream": "finetune2stream",
}
EXECUTIONS = {
    "reference": Execution(record_all=True),
    "best-fp32": Execution(channels_last=True),
    "best-bf16": Execution(bf16=True, channels_last=True),
    "compiled-fp32": Execution(channels_last=True),
    "compiled-bf16": Execution(bf16=True, channels_last=True),
}
GRAPH_WARMUP = 3
STEPS_AN_EPOCH = 10
STEPS_AFTER_REST = 3
REFERENCE_WORKERS = 8
PADDING = 4
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # malloc.h
Step = Callable[[Batch], Tensor]
"""From a batch on the device to the loss, a scalar there; of eval to the mean reward."""


def keep_memory() -> None:
    """Lets glibc keep what tensors free, instead of giving it back and faulting it in again at each step."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
        libc.mallopt(M_MMAP_THRESHOLD, 2**30)


@dataclass(frozen=True)
class Model:
    """What is measured: side of the images, classes, and the networks of a stage, from the formula's weights."""

    size: int
    classes: int
    actor: Callable[[str, bool], Actor]

    def batch(self, count: int) -> Batch:
        labels = torch.from_numpy((formula.values(count, formula.LABELS) * self.classes).astype("int64"))
        return Batch(formula.images(count, self.size), labels, formula.uniforms(count, 16, formula.UNIFORMS))


def large(_stage: str, two_streams: bool) -> Actor:
    from resnets import BASE, CASES  # needs torchvision

    def network(name: str) -> nn.Module:
        return formula.fill(CASES[name][0](), BASE)

    return Actor(network("policy2019"), network("resnet34"), network("resnet34") if two_streams else None)


MODELS = {
    "R32_C10": Model(32, 10, lambda stage, two_streams: cases.actor(base_of(stage), two_streams)),
    "R34_fMoW": Model(112, 7, large),
}


def base_of(stage: str) -> int:
    """The classifier that the golden values of a stage have."""
    return formula.EVALUATED if stage in ("pretrain", "eval") else formula.TRAINED


def is_compiled(config: str) -> bool:
    return config.startswith("compiled")


def make_step(stage: str, config: str, model: Model, device: str = "cpu") -> Step:
    """One step of a stage from the formula's weights."""
    run, fused = EXECUTIONS[config], config != "reference"
    networks = model.actor(stage, stage == "finetune2stream")
    learned = {
        "classifier": [networks.high],
        "pretrain": [networks.policy],
        "finetune": [networks.policy, networks.high],
        "finetune2stream": [networks.policy, networks.high],
        "eval": [],
    }[stage]
    for network in (networks.policy, networks.high, networks.low):
        if network is not None:
            network.to(device)
            if run.channels_last:
                network.to(memory_format=torch.channels_last)
    if is_compiled(config):
        for network in filter(None, (networks.policy, networks.high, networks.low)):
            # What learns nothing is a constant of the code, weights and running statistics.
            network.compile(options={"freezing": network not in learned})
    parameters = [p for network in learned for p in network.parameters()]
    if dist.is_initialized():
        if networks.policy in learned and hasattr(networks.policy, "vnet"):
            # Nothing uses it, and DistributedDataParallel waits for the gradient of all that wants one.
            networks.policy.vnet.requires_grad_(False)
        wrapped = {id(network): DistributedDataParallel(network) for network in learned}
        networks = Actor(*(wrapped.get(id(n), n) for n in (networks.policy, networks.high, networks.low)))
    if stage == "eval":
        return lambda batch: evaluate(networks, batch, Rules(penalty=-5.0), run).outcome.reward.mean()
    optimizer: Optimizer
    if stage == "classifier":
        optimizer = SGD(parameters, lr=0.1, momentum=0.9, fused=fused)
        return lambda batch: classifier_step(networks.high, batch, optimizer, run=run)[1]
    capturable = fused and device == "cuda"
    optimizer = Adam(parameters, lr=1e-3 if stage == "pretrain" else 1e-4, fused=fused, capturable=capturable)
    if stage == "pretrain":
        return lambda batch: pretrain_step(networks, batch, optimizer, Rules(penalty=-0.5), run).loss
    return lambda batch: finetune_step(networks, batch, optimizer, Rules(penalty=-5.0), run).loss


def moved(batch: Batch, device: str) -> Batch:
    return Batch(*(getattr(batch, f.name).to(device, non_blocking=True) for f in fields(batch)))


class Captured:
    """A step on the GPU that is captured as a CUDA graph at its fourth call, and replayed from then on."""

    def __init__(self, step: Step) -> None:
        self.step, self.calls, self.stream = step, 0, torch.cuda.Stream()
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, batch: Batch) -> float:
        self.calls += 1
        if self.calls <= GRAPH_WARMUP:
            self.stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(self.stream):
                return self.step(moved(batch, "cuda")).item()
        if self.graph is None:
            self.static, self.graph = moved(batch, "cuda"), torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph, stream=self.stream):
                self.value = self.step(self.static)
        for part in fields(batch):
            getattr(self.static, part.name).copy_(getattr(batch, part.name), non_blocking=True)
        self.graph.replay()
        return self.value.item()


def timed(step: Step, args: argparse.Namespace) -> Callable[[Batch], float]:
    """The step from a batch in the processor's memory to the value there."""
    if args.device == "cuda" and args.config != "reference" and args.graph == "on":
        return Captured(step)
    return lambda batch: step(moved(batch, args.device)).item()


class Pictures(torch.utils.data.Dataset):
    """Images in memory, cropped and flipped one by one as torchvision's CIFAR10 does it."""

    def __init__(self, data: Batch, size: int, augment: bool) -> None:
        from torchvision import transforms  # needs torchvision

        self.data = data
        moves = [transforms.RandomCrop(size, padding=PADDING), transforms.RandomHorizontalFlip()] if augment else []
        self.transform = transforms.Compose([transforms.ToPILImage(), *moves, transforms.PILToTensor()])

    def __len__(self) -> int:
        return len(self.data.labels)

    def __getitem__(self, i: int) -> tuple[Tensor, Tensor]:
        return self.transform(self.data.images[i].numpy()), self.data.labels[i]


def moved_in_memory(images: Tensor) -> Tensor:
    """Bytes [B, S, S, 3], each padded, cropped at random and flipped half of the times."""
    count, size = images.shape[:2]
    padded = nn.functional.pad(images, (0, 0, PADDING, PADDING, PADDING, PADDING))
    top, left = torch.randint(2 * PADDING + 1, (2, count, 1))
    along = torch.arange(size)
    flipped = torch.rand(count, 1) < 0.5
    rows, columns = top + along, left + torch.where(flipped, along.flip(0), along)
    return padded[torch.arange(count)[:, None, None], rows[:, :, None], columns[:, None, :]]


def batches(data: Batch, size: int, args: argparse.Namespace) -> Iterator[Batch]:
    """One epoch, with new uniforms."""
    augment = args.stage != "eval"
    if args.config == "reference":
        loader = torch.utils.data.DataLoader(
            Pictures(data, size, augment), args.batch, shuffle=augment, num_workers=REFERENCE_WORKERS
        )
        for images, labels in loader:
            yield Batch(images.permute(0, 2, 3, 1).contiguous(), labels, torch.rand(len(labels), 16))
        return
    total = len(data.labels)
    for chosen in (torch.randperm(total) if augment else torch.arange(total)).split(args.batch):
        images = data.images[chosen]
        yield Batch(moved_in_memory(images) if augment else images, data.labels[chosen], torch.rand(len(chosen), 16))


def epoch(step: Callable[[Batch], float], data: Batch, size: int, args: argparse.Namespace) -> float:
    """The mean loss."""
    values = [step(batch) for batch in batches(data, size, args)]
    return sum(values) / len(values)


def report(**values: object) -> None:
    print(json.dumps(values), flush=True)


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_rss_bytes() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024  # Linux counts KiB


def serve(args: argparse.Namespace) -> None:
    model = MODELS[args.model]
    step = timed(make_step(args.stage, args.config, model, args.device), args)
    batch = model.batch(args.batch * (STEPS_AN_EPOCH if args.unit == "epoch" else 1))
    if args.ranks > 1:
        batch = Batch(*(getattr(batch, f.name).chunk(args.ranks)[args.rank].clone() for f in fields(batch)))
    if args.unit == "step" and args.device == "cuda" and args.config != "reference":
        batch = Batch(*(getattr(batch, f.name).pin_memory() for f in fields(batch)))
    work = (lambda: step(batch)) if args.unit == "step" else (lambda: epoch(step, batch, model.size, args))
    first = Batch(*(getattr(batch, f.name)[: args.batch] for f in fields(batch)))
    compiling = {}
    if is_compiled(args.config) and args.warmup > 0:
        compiling["compileSeconds"] = seconds_of(lambda: step(first)) - seconds_of(lambda: step(first))
    for _ in range(args.warmup):
        work()
    say = report if args.rank == 0 else lambda **_values: None
    say(
        ready=args.stage,
        config=args.config,
        batch=args.batch,
        precision="bf16" if EXECUTIONS[args.config].bf16 else "fp32",
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        **compiling,
    )
    done = 0
    while done < args.steps and asked(args):
        if args.unit == "epoch":  # the others' epochs took their time, and pages of this process may be gone
            for _ in range(STEPS_AFTER_REST):
                step(first)
        start = time.perf_counter()
        value = work()
        seconds = time.perf_counter() - start
        done += 1
        say(step=done, seconds=seconds, **{"reward" if args.stage == "eval" else "loss": value})
    say(done=done, peakRssBytes=peak_rss_bytes())


def asked(args: argparse.Namespace) -> bool:
    """Whether another step is wanted, which the first rank reads."""
    wanted = torch.tensor([args.rank == 0 and sys.stdin.readline() == "step\n"])
    if args.ranks > 1:
        dist.broadcast(wanted, 0)
    return bool(wanted)


def serve_ranks(args: argparse.Namespace) -> None:
    """Serves as the first of several processes, which it starts, or as one of the others."""
    others = []
    if args.rank == 0:
        args.meeting = os.path.join(tempfile.mkdtemp(), "ranks")
        own = [sys.executable, *sys.argv, "--meeting", args.meeting]
        others = [subprocess.Popen([*own, "--rank", str(rank)], stdin=subprocess.DEVNULL) for rank in range(1, args.ranks)]
    dist.init_process_group("gloo", init_method=f"file://{args.meeting}", rank=args.rank, world_size=args.ranks)
    try:
        serve(args)
        dist.destroy_process_group()
        for other in others:
            other.wait()
    finally:
        for other in others:
            other.kill()


def verify(args: argparse.Namespace) -> None:
    """Prints this configuration's values on the golden batch beside the golden ones; nothing is judged here."""
    step = timed(make_step(args.stage, args.config, MODELS["R32_C10"], args.device), args)
    if args.stage == "eval":
        golden = json.loads((ROOT / "test/golden/evaluate.json").read_text())["oneStream"]["rewardMean"]
        report(stage=args.stage, config=args.config, reward=step(cases.batch(base_of(args.stage))), golden=golden)
        return
    golden = json.loads((ROOT / f"test/golden/{GOLDEN_FILES[args.stage]}.json").read_text())
    for number, expected in enumerate(golden["steps"]):
        loss = step(cases.batch(base_of(args.stage), number))
        report(stage=args.stage, config=args.config, step=number + 1, loss=loss, golden=expected["loss"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stage", required=True, choices=[*GOLDEN_FILES, "eval"])
    parser.add_argument("--config", required=True, choices=list(EXECUTIONS))
    parser.add_argument("--model", choices=list(MODELS), default="R32_C10")
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=10, help="at most this many timed steps (%(default)s)")
    parser.add_argument("--warmup", type=int, default=2, help="steps before the first timed one (%(default)s)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--graph", choices=["on", "off"], default="on", help="with --device cuda (%(default)s)")
    parser.add_argument("--unit", choices=["step", "epoch"], default="step", help="what is timed (%(default)s)")
    parser.add_argument("--ranks", type=int, default=1, help="processes that share each batch (%(default)s)")
    parser.add_argument("--rank", type=int, default=0, help=argparse.SUPPRESS)
    parser.add_argument("--meeting", help=argparse.SUPPRESS)
    parser.add_argument("--verify", action="store_true", help="print the losses of the golden steps and stop")
    args = parser.parse_args()
    for name, least in (("batch", 2), ("steps", 1), ("warmup", 0), ("threads", 1)):
        if getattr(args, name) < least:
            parser.error(f"--{name}: must be at least {least}")
    torch.set_num_threads(args.threads)
    # The checks of torch.distributions read their verdict back, which a captured step cannot.
    torch.distributions.Distribution.set_default_validate_args(args.device == "cpu")
    if args.config != "reference":
        keep_memory()
        # On a GPU: cuDNN's algorithms are chosen by timing them, and linear layers too may round to TF32's 10 bits.
        torch.backends.cudnn.benchmark = True
        torch.backends.cuda.matmul.allow_tf32 = True
    if is_compiled(args.config):
        torch.compiler.config.force_disable_caches = True
    if args.verify:
        verify(args)
    elif args.ranks > 1:
        serve_ranks(args)
    else:
        serve(args)


if __name__ == "__main__":
    main()
