"""The contents of the golden files, one function a file. `test/golden/load.ts` describes what each returns."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

import formula
import method
import stages
import torch
import torch.nn.functional as F
from networks import Classifier, Policy, count_parameters
from stages import Actor, Batch, Execution, PolicyStep, Rules
from summary import bits, changes, gradients, nine_digits, numbers, running_statistics, snapshot, summary
from torch import Tensor, nn
from torch.optim import SGD, Adam, Optimizer
from torch.optim.lr_scheduler import LRScheduler, MultiStepLR, OneCycleLR, StepLR

BATCH = 8
# By the classifier's base: in the first step it is right on both masks, on either one alone, and on none.
LABELS = {formula.TRAINED: [1, 0, 2, 0, 5, 3, 0, 3], formula.EVALUATED: [3, 4, 3, 9, 3, 2, 3, 9]}
SMALLEST_MARGIN = 1e-4
"""No decision (argmax, p against 0.5, p against u) may hang on less: another order of summation must not turn it."""

Run = Execution


def classifier(base: int = formula.TRAINED, classes: int = 10) -> nn.Module:
    return formula.fill(Classifier(classes), base)


def policy() -> nn.Module:
    return formula.fill(Policy(), formula.POLICY)


def actor(base: int, two_streams: bool = False) -> Actor:
    return Actor(policy(), classifier(base), classifier(formula.LOW_RESOLUTION) if two_streams else None)


def batch(base: int = formula.TRAINED, step: int = 0) -> Batch:
    uniforms = formula.uniforms(BATCH, 16, formula.UNIFORMS + step)
    return Batch(formula.images(BATCH), torch.tensor(LABELS[base]), uniforms)


def inputs(base: int = formula.TRAINED) -> dict:
    """The first fields of a file that runs networks."""
    bases = {"classifier": base, "policy": formula.POLICY, "lowClassifier": formula.LOW_RESOLUTION}
    return {"bases": bases, "labels": LABELS[base]}


def states(_: Run) -> dict:
    """What the formula makes: the first uniforms, and digests of the images and of the networks' states."""

    def state(network: nn.Module, base: int) -> dict:
        tensors = formula.fill(network, base).state_dict()
        return {
            "base": base,
            "parameters": count_parameters(network),
            "sha256": digest(torch.cat([t.flatten().float() for t in tensors.values()])),
            "shapes": {name: list(t.shape) for name, t in tensors.items()},
        }

    return {
        "uniform": {str(salt): [float(v) for v in formula.values(8, salt)] for salt in (0, 30, 231_000)},
        "images": {"first": formula.images(BATCH).flatten()[:32].tolist(), "sha256": digest(formula.images(BATCH))},
        "networks": {
            "classifier": state(Classifier(), formula.TRAINED),
            "policy": state(Policy(), formula.POLICY),
        },
    }


def digest(tensor: Tensor) -> str:
    """SHA-256 of the elements, float32 as little-endian."""
    return hashlib.sha256(tensor.numpy().tobytes()).hexdigest()


def forward(run: Run) -> dict:
    """Logits, losses, gradients and running statistics of the networks, from the formula's weights."""
    images, labels = method.normalize(batch().images), batch().labels
    result = inputs() | {"images": summary(images)}
    for mode in ("eval", "train"):
        network = classifier().train(mode == "train")
        logits = run.classify(network, images)
        loss = F.cross_entropy(logits, labels)
        smoothed = F.cross_entropy(logits, labels, label_smoothing=0.1)
        smoothed.backward(retain_graph=True)
        smoothed_gradient = summary(network.fc.weight.grad)
        network.zero_grad()
        loss.backward()
        result[f"classifier{mode.title()}"] = {
            "logits": numbers(logits),
            "loss": nine_digits(loss.item()),
            "smoothedLoss": nine_digits(smoothed.item()),
            "smoothedFcWeightGradient": smoothed_gradient,
            "gradients": gradients(network),
        }
    result["classifierTrain"]["statistics"] = running_statistics(network)
    for mode in ("eval", "train"):
        network = policy().train(mode == "train")
        logits = run.classify(network, method.low_resolution(images, stages.LOW_SIZE))
        weights = torch.from_numpy(formula.values(logits.numel(), formula.CHECKSUM) - 0.5).float()
        (logits.flatten() * weights).sum().backward()
        result[f"policy{mode.title()}"] = {"logits": numbers(logits), "gradients": gradients(network)}
    result["policyTrain"]["statistics"] = running_statistics(network)
    with torch.no_grad():
        result["classifier100Eval"] = {"logits": numbers(run.classify(classifier(classes=100).eval(), images[:2]))}
    return result


def optimizers(run: Run) -> dict:
    """Two steps of each optimizer on the classifier's cross-entropy, training mode, the same batch; and clipping."""

    def two_steps(make: type[Optimizer], **options: float) -> dict:
        network = classifier()
        before = snapshot(network)
        optimizer = make(network.parameters(), **options)
        steps = []
        for _ in range(2):
            _, loss = stages.classifier_step(network, batch(), optimizer, run=run)
            steps.append({"loss": nine_digits(loss.item()), "changes": changes(network, before)})
        return {"options": options, "steps": steps}

    network = classifier().train()
    F.cross_entropy(run.classify(network, method.normalize(batch().images)), batch().labels).backward()
    norm = nn.utils.clip_grad_norm_(network.parameters(), 1.0)
    return inputs() | {
        "sgd": two_steps(SGD, lr=0.1, momentum=0.9, weight_decay=5e-4),
        "adam": two_steps(Adam, lr=1e-3),
        "clip": {
            "maxNorm": 1.0,
            "normBefore": nine_digits(norm.item()),
            "gradients": gradients(network, first=0),
        },
    }


def schedules(_: Run) -> dict:
    """Learning rates before step (or epoch) n, as [n, rate]."""

    def rates(at: list[int], lr: float, make) -> list[list[float]]:
        optimizer = SGD([torch.zeros(1, requires_grad=True)], lr=lr)
        schedule: LRScheduler = make(optimizer)
        found = []
        for n in range(max(at) + 1):
            if n in at:
                found.append([n, schedule.get_last_lr()[0]])
            optimizer.step()
            schedule.step()
        return found

    decades = [0, 1, 149, 150, 151, 249, 250, 299]
    tens = [0, 9, 10, 19, 20, 35]
    cycle = [0, 1, 5, 15, 28, 29, 30, 50, 70, 90, 98, 99]
    return {
        "multiStep": {
            "options": {"lr": 0.1, "milestones": [150, 250], "gamma": 0.1},
            "rates": rates(decades, 0.1, lambda o: MultiStepLR(o, [150, 250], gamma=0.1)),
        },
        "step": {
            "options": {"lr": 1e-3, "step_size": 10, "gamma": 0.1},
            "rates": rates(tens, 1e-3, lambda o: StepLR(o, 10, gamma=0.1)),
        },
        "oneCycle": {
            "options": {"max_lr": 0.2, "total_steps": 100, "pct_start": 0.3, "div_factor": 25, "final_div_factor": 1e4},
            "rates": rates(
                cycle, 0.2, lambda o: OneCycleLR(o, max_lr=0.2, total_steps=100, pct_start=0.3, cycle_momentum=False)
            ),
        },
    }


def method_values(_: Run) -> dict:
    """The paper's equations on 4 images × 16 patches."""
    shape = (4, 16)
    raw = formula.values(64, formula.METHOD_LOGITS)
    logits = torch.from_numpy(((raw - 0.5) * 6).astype("float32")).reshape(shape).requires_grad_()
    uniforms = formula.uniforms(*shape, formula.METHOD_UNIFORMS)
    right, right_greedy = torch.tensor([1.0, 0, 1, 0]), torch.tensor([1.0, 1, 0, 0])
    alpha, penalty, decided = 0.8, -0.5, 5
    probabilities = method.bounded(torch.sigmoid(logits), alpha)
    sampled, greedy = method.sample(probabilities, uniforms), method.greedy(probabilities)
    advantage = method.reward(right, sampled, penalty) - method.reward(right_greedy, greedy, penalty)
    leading = method.decide_leading(sampled, decided)

    def loss_and_gradient(loss: Tensor) -> dict:
        (gradient,) = torch.autograd.grad(loss, logits, retain_graph=True)
        return {"loss": nine_digits(loss.item()), "gradient": numbers(gradient)}

    entropy = method.entropy(probabilities)
    images = method.normalize(formula.images(4))
    taken = sampled.sum(1)
    return {
        "options": {"alpha": alpha, "penalty": penalty, "decided": decided},
        "logits": numbers(logits),
        "uniforms": numbers(uniforms),
        "right": right.tolist(),
        "rightGreedy": right_greedy.tolist(),
        "probabilities": numbers(probabilities),
        "sampled": bits(sampled),
        "greedy": bits(greedy),
        "logProbability": numbers(method.log_probability(probabilities, sampled)),
        "logProbabilitySum": numbers(method.log_probability(probabilities, sampled).sum(1)),
        "reward": numbers(method.reward(right, sampled, penalty)),
        "rewardGreedy": numbers(method.reward(right_greedy, greedy, penalty)),
        "rewardLinear": numbers(method.reward(right, sampled, penalty, "linear")),
        "rewardLinearGreedy": numbers(method.reward(right_greedy, greedy, penalty, "linear")),
        "advantage": numbers(advantage),
        "policyLossMean": loss_and_gradient(method.policy_loss_mean(probabilities, sampled, advantage, 16)),
        "policyLossSum": loss_and_gradient(method.policy_loss_sum(probabilities, sampled, advantage)),
        "curriculum": {
            "sampled": bits(leading),
            "greedy": bits(method.decide_leading(greedy, decided)),
            "lossMask": bits(method.decide_leading(torch.zeros(shape), decided).logical_not()),
            **loss_and_gradient(method.policy_loss_mean(probabilities, leading, advantage, decided)),
        },
        "entropy": numbers(entropy),
        "entropySum": loss_and_gradient(entropy.sum(1).mean()),
        "patchesMean": nine_digits(taken.mean().item()),
        "patchesStd": nine_digits(taken.std().item()),
        "distinctPolicies": len(set(bits(sampled))),
        "images": summary(images),
        "lowResolution": summary(method.low_resolution(images, stages.LOW_SIZE)),
        "masked": summary(method.mask_patches(images, sampled)),
    }


def classifier_training(run: Run) -> dict:
    """Three steps of classifier_training with its defaults, and the first loss of the LR stream."""
    options = {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.0}
    network = classifier()
    before = snapshot(network)
    optimizer = SGD(network.parameters(), **options)
    steps = []
    for step in range(3):
        logits, loss = stages.classifier_step(network, batch(), optimizer, run=run)
        steps.append({"loss": nine_digits(loss.item())})
        if step == 0:
            steps[0] |= {"logits": numbers(logits)}
        if step != 1:
            steps[step] |= after(("classifier", network, before))
    low = classifier()
    low_logits, low_loss = stages.classifier_step(low, batch(), SGD(low.parameters(), **options), stream="LR", run=run)
    return inputs() | {
        "options": options,
        "steps": steps,
        "lowResolution": {"logits": numbers(low_logits), "loss": nine_digits(low_loss.item())},
    }


def after(*networks: tuple[str, nn.Module, dict[str, Tensor]]) -> dict:
    """What the steps so far changed in each (name, network, parameters before the first step)."""
    return {
        "changes": {name: changes(network, before) for name, network, before in networks},
        "statistics": {name: running_statistics(network) for name, network, _ in networks},
    }


def margin(logits: Tensor) -> float:
    best, second = logits.topk(2, dim=1).values.unbind(1)
    return (best - second).min().item()


def require_margins(step: PolicyStep, uniforms: Tensor) -> None:
    """Golden decisions must not hang on rounding."""
    found = {
        "sampled argmax": margin(step.sampled.logits),
        "greedy argmax": margin(step.greedy.logits),
        "p against u": (step.choice.probabilities - uniforms).abs().min().item(),
        "p against 0.5": (step.choice.probabilities - 0.5).abs().min().item(),
    }
    close = {name: value for name, value in found.items() if value < SMALLEST_MARGIN}
    if close:
        raise SystemExit(f"golden step: a decision hangs on less than {SMALLEST_MARGIN}: {close}; choose other salts")


def recorded(step: PolicyStep, complete: bool) -> dict:
    """A step's values; with `complete`, also its probabilities and logits."""
    losses = {"policyLoss": step.policy_loss, "classLoss": step.class_loss, "loss": step.loss}
    values = {
        **{name: nine_digits(loss.item()) for name, loss in losses.items() if loss is not None},
        "sampled": bits(step.choice.sampled),
        "greedy": bits(step.choice.greedy),
        "right": step.sampled.right.int().tolist(),
        "rightGreedy": step.greedy.right.int().tolist(),
        "reward": numbers(step.sampled.reward),
        "rewardGreedy": numbers(step.greedy.reward),
        "advantage": numbers(step.sampled.reward - step.greedy.reward),
    }
    if complete:
        values |= {
            "policyLogits": numbers(step.choice.logits),
            "probabilities": numbers(step.choice.probabilities),
            "sampledLogits": numbers(step.sampled.logits),
            "greedyLogits": numbers(step.greedy.logits),
        }
    return values


@dataclass(frozen=True)
class PolicyStage:
    """Three steps of a stage with a policy; `joint` if the classifier learns too."""

    rules: Rules
    lr: float
    joint: bool = False
    two_streams: bool = False

    @property
    def base(self) -> int:
        """Of the classifier's weights, by the mode that it runs in."""
        trains = self.joint and self.rules.classifier_bn == "train"
        return formula.TRAINED if trains else formula.EVALUATED

    @property
    def options(self) -> dict:
        return {"lr": self.lr, **vars(self.rules)}

    def __call__(self, run: Run) -> dict:
        base = self.base
        networks = actor(base, self.two_streams)
        learned = {"policy": networks.policy} | ({"classifier": networks.high} if self.joint else {})
        before = {name: snapshot(network) for name, network in learned.items()}
        optimizer = Adam([p for network in learned.values() for p in network.parameters()], lr=self.lr)
        step_of = stages.finetune_step if self.joint else stages.pretrain_step
        steps = []
        for number in range(3):
            data = batch(base, number)
            step = step_of(networks, data, optimizer, self.rules, run)
            require_margins(step, data.uniforms)
            steps.append(recorded(step, complete=number == 0))
            if number == 0:
                steps[0]["gradients"] = {name: gradients(network) for name, network in learned.items()}
            if number != 1:
                steps[number] |= after(*((name, network, before[name]) for name, network in learned.items()))
        return inputs(base) | {"options": self.options, "steps": steps}


def evaluate(run: Run) -> dict:
    """Testing from the formula's weights: one stream, then two."""
    base = formula.EVALUATED

    def one(two_streams: bool) -> dict:
        found = stages.evaluate(actor(base, two_streams), batch(base), Rules(penalty=-5.0), run)
        taken, outcome = found.actions.sum(1), found.outcome
        if min(margin(outcome.logits), found.policy_logits.abs().min().item()) < SMALLEST_MARGIN:
            raise SystemExit("golden evaluation: a decision hangs on rounding; choose other salts")
        return {
            "policyLogits": numbers(found.policy_logits),
            "actions": bits(found.actions),
            "logits": numbers(outcome.logits),
            "right": outcome.right.int().tolist(),
            "reward": numbers(outcome.reward),
            "accuracy": nine_digits(outcome.right.mean().item()),
            "rewardMean": nine_digits(outcome.reward.mean().item()),
            "patchesMean": nine_digits(taken.mean().item()),
            "patchesStd": nine_digits(taken.std().item()),
            "distinctPolicies": len(set(bits(found.actions))),
        }

    return inputs(base) | {"options": {"penalty": -5.0}, "oneStream": one(False), "twoStreams": one(True)}


FILES: dict[str, Callable[[Run], dict]] = {
    "states": states,
    "forward": forward,
    "optimizers": optimizers,
    "schedules": schedules,
    "method": method_values,
    "classifier-training": classifier_training,
    "pretrain": PolicyStage(Rules(penalty=-0.5), lr=1e-3),
    "pretrain-curriculum": PolicyStage(Rules(penalty=-0.5, decided=10), lr=1e-3),
    "finetune": PolicyStage(Rules(penalty=-5.0), lr=1e-4, joint=True),
    "finetune2stream": PolicyStage(Rules(penalty=-5.0), lr=1e-4, joint=True, two_streams=True),
    "finetune2stream-2019": PolicyStage(
        Rules(penalty=-5.0, policy_loss="sum", classifier_bn="frozen", two_stream_mix="share"),
        lr=1e-4,
        joint=True,
        two_streams=True,
    ),
    "evaluate": evaluate,
}
