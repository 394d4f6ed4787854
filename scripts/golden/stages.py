"""One step of each stage of PatchDrop in PyTorch: the origin of the golden steps, and the peer in the benchmark.

Who is learned, in which mode each network runs, and what moves the batch norms' running statistics:

| stage               | policy     | HR classifier, sampled masks | HR classifier, greedy masks     | LR classifier |
| ------------------- | ---------- | ---------------------------- | ------------------------------- | ------------- |
| classifier_training |            | training, learned (no masks) |                                 |               |
| pretrain            | training   | evaluation, frozen           | evaluation, frozen              |               |
| finetune            | training   | training, learned            | training, no gradient; running  |               |
|                     |            |                              | statistics stay as they are     |               |
| finetune2stream     | training   | as finetune, + LR logits     | as finetune, + LR logits        | evaluation    |
| evaluate            | evaluation |                              | evaluation (unbounded p)        | evaluation    |

The sampled masks are classified first, then the greedy ones.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
import torch.nn.functional as F
from method import (
    bounded,
    correct,
    decide_leading,
    greedy,
    low_resolution,
    mask_patches,
    normalize,
    policy_loss_mean,
    policy_loss_sum,
    reward,
    sample,
)
from torch import Tensor, nn
from torch.optim import Optimizer

LOW_SIZE = 8
"""Of 32 × 32 images; a quarter of the image's side in general."""


@dataclass(frozen=True)
class Execution:
    """How the same step is computed. The default is what the golden values are made with."""

    bf16: bool = False
    channels_last: bool = False
    record_all: bool = False
    """Record gradients in every pass, needed or not, as the 2019 code does under a current PyTorch."""

    @contextmanager
    def unlearned(self) -> Iterator[None]:
        """Around passes that nothing is learned from."""
        with torch.set_grad_enabled(self.record_all):
            yield

    def classify(self, network: nn.Module, images: Tensor) -> Tensor:
        """Logits in float32."""
        if self.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=self.bf16):
            return network(images).float()


@dataclass(frozen=True)
class Batch:
    images: Tensor
    """Bytes [B, S, S, 3]."""
    labels: Tensor
    """int64 [B]."""
    uniforms: Tensor
    """Float32 [B, P], for the sampled actions."""


@dataclass(frozen=True)
class Actor:
    """The networks of the stages with a policy. `low` (finetune2stream) is frozen and in evaluation mode."""

    policy: nn.Module
    high: nn.Module
    low: nn.Module | None = None


@dataclass(frozen=True)
class Rules:
    penalty: float
    alpha: float = 0.8
    decided: int = 16
    """The curriculum of pretrain: how many leading patches the policy decides, epoch + 1 in the first epochs."""
    policy_loss: str = "mean"
    """Of finetune: "mean" or (2019) "sum" over the images."""
    classifier_bn: str = "train"
    """Of finetune: "train", or (2019) "frozen": evaluation mode, weights learned all the same."""
    two_stream_mix: str = "sum"
    """Of finetune2stream: HR + LR, or (2019) "share": r·HR + (1 - r)·LR, r the share of patches taken."""


@dataclass(frozen=True)
class Choice:
    """What the policy chose, [B, P] each: its logits, their bounded probabilities, and the two masks."""

    logits: Tensor
    probabilities: Tensor
    sampled: Tensor
    greedy: Tensor


@dataclass(frozen=True)
class Outcome:
    """What a mask led to: the logits [B, K], and [B] whether they are right, and the reward."""

    logits: Tensor
    right: Tensor
    reward: Tensor


@dataclass(frozen=True)
class PolicyStep:
    """All of one step, detached. `class_loss`: the cross-entropy on the sampled masks, when the classifier learns."""

    choice: Choice
    sampled: Outcome
    greedy: Outcome
    policy_loss: Tensor
    class_loss: Tensor | None
    loss: Tensor


@contextmanager
def statistics_held(network: nn.Module, training: bool) -> Iterator[None]:
    """Batch norms in training mode use the batch's statistics, and leave their running statistics as they are."""
    norms = [m for m in network.modules() if training and isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        norm.track_running_stats = False
    try:
        yield
    finally:
        for norm in norms:
            norm.track_running_stats = True


def update(optimizer: Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()


def classifier_step(
    classifier: nn.Module,
    batch: Batch,
    optimizer: Optimizer,
    *,
    stream: str = "HR",
    run: Execution = Execution(),
) -> tuple[Tensor, Tensor]:
    """classifier_training. Returns the logits [B, K] and the loss, both detached."""
    classifier.train()
    images = normalize(batch.images)
    if stream == "LR":
        images = low_resolution(images, images.shape[-1] // 4)
    logits = run.classify(classifier, images)
    loss = F.cross_entropy(logits, batch.labels)
    update(optimizer, loss)
    return logits.detach(), loss.detach()


def choose(policy: nn.Module, low: Tensor, uniforms: Tensor, rules: Rules, run: Execution) -> Choice:
    logits = run.classify(policy, low)
    probabilities = bounded(torch.sigmoid(logits), rules.alpha)
    sampled = decide_leading(sample(probabilities, uniforms), rules.decided)
    return Choice(logits, probabilities, sampled, decide_leading(greedy(probabilities), rules.decided))


def outcome(logits: Tensor, actions: Tensor, labels: Tensor, rules: Rules) -> Outcome:
    right = correct(logits, labels)
    return Outcome(logits.detach(), right, reward(right, actions, rules.penalty))


def detached(choice: Choice) -> Choice:
    return replace(choice, logits=choice.logits.detach(), probabilities=choice.probabilities.detach())


def pretrain_step(
    actor: Actor, batch: Batch, optimizer: Optimizer, rules: Rules, run: Execution = Execution()
) -> PolicyStep:
    """pretrain: the policy alone learns."""
    actor.policy.train()
    actor.high.eval()
    images = normalize(batch.images)
    choice = choose(actor.policy, low_resolution(images, images.shape[-1] // 4), batch.uniforms, rules, run)
    with run.unlearned():
        sampled_logits = run.classify(actor.high, mask_patches(images, choice.sampled))
        greedy_logits = run.classify(actor.high, mask_patches(images, choice.greedy))
    sampled = outcome(sampled_logits, choice.sampled, batch.labels, rules)
    baseline = outcome(greedy_logits, choice.greedy, batch.labels, rules)
    loss = policy_loss_mean(choice.probabilities, choice.sampled, sampled.reward - baseline.reward, rules.decided)
    update(optimizer, loss)
    return PolicyStep(detached(choice), sampled, baseline, loss.detach(), None, loss.detach())


def finetune_step(
    actor: Actor, batch: Batch, optimizer: Optimizer, rules: Rules, run: Execution = Execution()
) -> PolicyStep:
    """finetune, and with `actor.low` finetune2stream: policy and HR classifier learn together."""
    actor.policy.train()
    actor.high.train(rules.classifier_bn == "train")
    images = normalize(batch.images)
    low = low_resolution(images, images.shape[-1] // 4)
    choice = choose(actor.policy, low, batch.uniforms, rules, run)
    low_logits = low_stream(actor, low, run)
    sampled_high = run.classify(actor.high, mask_patches(images, choice.sampled))
    sampled_logits = combine(sampled_high, low_logits, choice.sampled, rules)
    with run.unlearned(), statistics_held(actor.high, rules.classifier_bn == "train"):
        greedy_high = run.classify(actor.high, mask_patches(images, choice.greedy))
        greedy_logits = combine(greedy_high, low_logits, choice.greedy, rules)
    sampled = outcome(sampled_logits, choice.sampled, batch.labels, rules)
    baseline = outcome(greedy_logits, choice.greedy, batch.labels, rules)
    policy_loss = policy_loss_sum(choice.probabilities, choice.sampled, sampled.reward - baseline.reward)
    if rules.policy_loss == "sum":
        policy_loss = policy_loss * len(batch.labels)
    class_loss = F.cross_entropy(sampled_logits, batch.labels)
    loss = policy_loss + class_loss
    update(optimizer, loss)
    return PolicyStep(detached(choice), sampled, baseline, policy_loss.detach(), class_loss.detach(), loss.detach())


def combine(high: Tensor, low: Tensor | float, actions: Tensor, rules: Rules) -> Tensor:
    if rules.two_stream_mix == "sum":
        return high + low
    share = actions.mean(1, keepdim=True)
    return share * high + (1 - share) * low


def low_stream(actor: Actor, low: Tensor, run: Execution) -> Tensor | float:
    """The LR classifier's logits [B, K] on the images as the policy sees them; 0 without an LR classifier."""
    if actor.low is None:
        return 0.0
    actor.low.eval()
    with run.unlearned():
        return run.classify(actor.low, low)


@dataclass(frozen=True)
class Evaluation:
    """`policy_logits` and `actions` [B, P], and what they led to."""

    policy_logits: Tensor
    actions: Tensor
    outcome: Outcome


def evaluate(actor: Actor, batch: Batch, rules: Rules, run: Execution = Execution()) -> Evaluation:
    """What every stage with a policy does in testing; nothing is sampled."""
    actor.policy.eval()
    actor.high.eval()
    images = normalize(batch.images)
    low = low_resolution(images, images.shape[-1] // 4)
    with run.unlearned():
        policy_logits = run.classify(actor.policy, low)
        actions = decide_leading(greedy(torch.sigmoid(policy_logits)), rules.decided)
        logits = run.classify(actor.high, mask_patches(images, actions)) + low_stream(actor, low, run)
    return Evaluation(policy_logits.detach(), actions, outcome(logits, actions, batch.labels, rules))
