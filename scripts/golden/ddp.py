"""Writes `test/golden/ddp.json`: what two ranks learn with PyTorch's DistributedDataParallel over gloo, in all four stages.

    python3 scripts/golden/ddp.py            write the file
    python3 scripts/golden/ddp.py --check    recompute and compare; exit 1 beyond the tolerance
    python3 scripts/golden/ddp.py --spread   print how far the same mathematics leads in another layout and order

It needs torch and numpy. Each rank is a process with one thread and has its half of every batch. The networks that learn are
wrapped, each by itself; the frozen ones are every rank's own.

Step n takes the next 16 of 64 images, in turn, and the uniforms of salt UNIFORMS + n. Image i has the label i mod 8 of the golden
batch.

Training is chaotic: a last bit that is rounded otherwise has grown to percents after a hundred steps. So that only what ranks
exchange can make a difference, all is rounded as PatchDrop rounds it: channels-last, fused optimizers, and for the functions of
`round_alike` the same mathematics in PatchDrop's order. The file says on which processor it was made; on another one only the
first step can be compared.
"""

import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cases
import formula
import method
import networks
import stages
import torch
import torch.distributed as dist
from make import FOLDER, compare
from one_file import parser, serve
from stages import Actor, Batch, Execution
from summary import Summary, nine_digits, summary
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import SGD, Adam

FILE = FOLDER / "ddp.json"
RANKS = 2
STEPS = 100
BATCH = 16
IMAGES = 64
DIGITS = 15
"""Of sums, norms and products: those of float64, so that the last bit of an element shows."""
VECTORS = ["avx2", "avx512f", "avx512_bf16", "amx_bf16"]
"""Of a processor's instruction sets, those that kernels are chosen by."""
ALIKE = Execution(channels_last=True)
OTHERWISE = Execution()
"""Contiguous, and every function as method.py has it."""


def round_alike() -> None:
    """Puts functions in the place of the stages' own that compute the same but for the last bit."""
    stages.normalize = normalize
    stages.bounded = bounded
    stages.policy_loss_sum = policy_loss_sum
    method.log_probability = log_probability
    networks.Features.pool = pool


def normalize(images: Tensor) -> Tensor:
    """x · 1 / (255 · std) - mean / std"""
    pairs = [(mean / 255, std / 255) for mean, std in zip(method.CIFAR_MEAN, method.CIFAR_STD, strict=True)]
    factor = torch.tensor([1 / (255 * std) for _, std in pairs])
    offset = torch.tensor([mean / std for mean, std in pairs])
    return (images.float() * factor - offset).permute(0, 3, 1, 2)


def bounded(probabilities: Tensor, alpha: float) -> Tensor:
    return probabilities * (2 * alpha - 1) + (1 - alpha)


def log_probability(probabilities: Tensor, actions: Tensor) -> Tensor:
    """The logarithm of what was chosen; Bernoulli's goes by way of the logits."""
    return torch.where(actions == 1, probabilities, 1 - probabilities).log()


def policy_loss_sum(probabilities: Tensor, actions: Tensor, advantage: Tensor) -> Tensor:
    return (log_probability(probabilities, actions) * advantage[:, None]).sum() * (-1 / len(advantage))


def pool(_: nn.Module, x: Tensor) -> Tensor:
    return x.mean((2, 3))


def folded(network: nn.Module) -> nn.Module:
    """A frozen network with the batch norms in the convolutions before them: w · γ / σ, β - μ · γ / σ."""
    for module in [m for m in network.modules() if hasattr(m, "conv1")]:
        for number in (1, 2):
            convolution = getattr(module, f"conv{number}", None)
            if convolution is not None:
                norm = getattr(module, f"bn{number}")
                factor = norm.weight / torch.sqrt(norm.running_var + norm.eps)
                convolution.weight.data = convolution.weight.data * factor.data.view(-1, 1, 1, 1)
                convolution.bias = nn.Parameter(norm.bias.data - norm.running_mean * factor.data)
                setattr(module, f"bn{number}", nn.Identity())
    return network


@dataclass(frozen=True)
class Training:
    """A stage on one rank: the networks that learn by name, the file's fields, and a step, from a rank's share to its loss."""

    learned: dict[str, nn.Module]
    inputs: dict
    step: Callable[[Batch], Tensor]


def laid_out(network: nn.Module, run: Execution) -> nn.Module:
    return network.to(memory_format=torch.channels_last) if run.channels_last else network


def classifier_training(run: Execution) -> Training:
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    classifier = DistributedDataParallel(laid_out(cases.classifier(), run))
    optimizer = SGD(classifier.parameters(), **options, fused=True)

    def step(batch: Batch) -> Tensor:
        _, loss = stages.classifier_step(classifier, batch, optimizer, run=run)
        return loss

    return Training({"classifier": classifier.module}, cases.inputs() | {"options": options}, step)


def policy_stage(stage: cases.PolicyStage, run: Execution) -> Training:
    fresh = cases.actor(stage.base, stage.two_streams)
    # Nothing uses it, and DistributedDataParallel waits for the gradient of all that wants one.
    fresh.policy.vnet.requires_grad_(False)
    learned = {"policy": fresh.policy} | ({"classifier": fresh.high} if stage.joint else {})
    shared = {name: DistributedDataParallel(laid_out(network, run)) for name, network in learned.items()}
    low = folded(fresh.low) if stage.two_streams and run == ALIKE else fresh.low
    actor = Actor(shared["policy"], shared.get("classifier", fresh.high), low)
    wanting = [p for network in learned.values() for p in network.parameters() if p.requires_grad]
    optimizer = Adam(wanting, lr=stage.lr, fused=True)
    step_of = stages.finetune_step if stage.joint else stages.pretrain_step

    def step(batch: Batch) -> Tensor:
        is_first = not optimizer.state
        found = step_of(actor, batch, optimizer, stage.rules, run)
        if is_first:
            cases.require_margins(found, batch.uniforms)
        return found.loss

    return Training(learned, cases.inputs(stage.base) | {"options": stage.options}, step)


STAGES: dict[str, Callable[[Execution], Training]] = {
    "classifier_training": classifier_training,
    "pretrain": lambda run: policy_stage(cases.FILES["pretrain"], run),
    "finetune": lambda run: policy_stage(cases.FILES["finetune"], run),
    "finetune2stream": lambda run: policy_stage(cases.FILES["finetune2stream"], run),
}


def share(labels: list[int], step: int, rank: int) -> Batch:
    """What a rank has of a step's batch."""
    count = BATCH // RANKS
    first = step * BATCH % IMAGES + rank * count
    own = [i % len(labels) for i in range(first, first + count)]
    uniforms = formula.uniforms(BATCH, 16, formula.UNIFORMS + step).chunk(RANKS)[rank]
    return Batch(formula.images(IMAGES)[first : first + count], torch.tensor(labels)[own], uniforms)


def state(network: nn.Module) -> dict[str, Summary]:
    """Of all parameters that learn, and of the running statistics."""
    learned = {name: p for name, p in network.named_parameters() if p.requires_grad}
    running = {name: b for name, b in network.named_buffers() if "running" in name}
    return {name: summary(t, first=0, digits=DIGITS) for name, t in (learned | running).items()}


def trained(name: str, run: Execution, rank: int) -> dict:
    """What one rank has learned, and the losses of all."""
    training = STAGES[name](run)
    losses, states = [], {}
    for step in range(STEPS):
        losses.append(training.step(share(training.inputs["labels"], step, rank)))
        if step in (0, STEPS - 1):
            states[step] = {key: state(network) for key, network in training.learned.items()}
    of_ranks = [torch.empty(STEPS) for _ in range(RANKS)]
    dist.all_gather(of_ranks, torch.stack(losses))
    by_step = [[nine_digits(x) for x in step] for step in torch.stack(of_ranks, 1).tolist()]
    return training.inputs | {"losses": by_step, "first": states[0], "last": states[STEPS - 1]}


def work(rank: int, name: str, run: Execution, folder: str) -> None:
    """A rank's process. The first leaves its result in `folder`."""
    torch.set_num_threads(1)
    if run == ALIKE:
        round_alike()
    dist.init_process_group("gloo", init_method=f"file://{folder}/ranks", rank=rank, world_size=RANKS)
    found = trained(name, run, rank)
    if rank == 0:
        torch.save(found, Path(folder, "learned"))
    dist.barrier()
    dist.destroy_process_group()


def learned(name: str, run: Execution) -> dict:
    with tempfile.TemporaryDirectory() as folder:
        torch.multiprocessing.spawn(work, (name, run, folder), nprocs=RANKS)
        return torch.load(Path(folder, "learned"), weights_only=False)


def processor() -> dict:
    """As /proc/cpuinfo says."""
    text = Path("/proc/cpuinfo").read_text()

    def said(name: str) -> str:
        found = re.search(rf"^{name}\s*: (.*)$", text, re.MULTILINE)
        return found[1] if found else ""

    flags = said("flags").split()
    features = [name for name in VECTORS if name in flags]
    return {"vendor": said("vendor_id"), "family": said("cpu family"), "model": said("model"), "features": features}


def content(otherwise: bool) -> dict:
    run = OTHERWISE if otherwise else ALIKE
    return {
        "expression": "100 times stages.classifier_step, pretrain_step, finetune_step, on 2 ranks of DistributedDataParallel",
        "torch": torch.__version__.split("+")[0],
        "script": "scripts/golden/ddp.py",
        "processor": processor(),
        "ranks": RANKS,
        "batch": BATCH,
        "images": IMAGES,
        "stages": {name: learned(name, run) for name in STAGES},
    }


def distances(found: dict, golden: dict) -> list[tuple[float, str]]:
    """Of each stage the largest of the first step's losses, of all losses, and of what was learned after one step and after all."""
    result = []
    for name in STAGES:
        one, other = found["stages"][name], golden["stages"][name]
        result.append(max(compare(one["losses"][0], other["losses"][0], f"{name}: first losses")))
        for key in ("losses", "first", "last"):
            result.append(max(compare(one[key], other[key], f"{name}: {key}")))
    return result


def main() -> None:
    serve(parser(__doc__, tolerance=1e-6).parse_args(), FILE, content, distances)


if __name__ == "__main__":
    main()
