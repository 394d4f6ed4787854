"""A policy that PyTorch pretrains from files: two sides of `npm run bench -- --unit result`.

    python3 bench/policy-peer.py --config best-bf16 --data_dir cifar10 --classifier runs/hr/last --out runs/peer --epochs 4

The steps and the evaluation are those of peer.py (`scripts/golden/stages.py`) in its configurations `reference`, `best-fp32`
and `best-bf16`, with Adam and, like the authors' code, weights by He's rule; the classifier that judges is one that this
program saved, and learns nothing. All images lie in memory, and each batch is cropped and flipped as a whole, in every
configuration. Without --curriculum every patch is decided from the start.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn

from class_folders import Images, Log, load_safetensors, read
from peer import EXECUTIONS, keep_memory, moved_in_memory
from networks import Classifier, Policy  # where peer.py looks for modules
from stages import Actor, Batch, Rules, evaluate, pretrain_step

PATCHES = 16
EVALUATED_AT_ONCE = 512


def new_policy() -> Policy:
    policy = Policy(PATCHES)
    for module in policy.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return policy


def saved_classifier(folder: Path) -> Classifier:
    tensors = load_safetensors(folder / "resnet_hr.safetensors")
    classifier = Classifier(len(tensors["fc.bias"]))
    classifier.load_state_dict(tensors)
    return classifier


def test(networks: Actor, images: Images, rules: Rules, run) -> tuple[Tensor, Tensor]:
    """The class [N] and the mask [N, P] of each image."""
    classes, masks = [], []
    for chosen in torch.arange(len(images.labels)).split(EVALUATED_AT_ONCE):
        batch = Batch(images.pixels[chosen], images.labels[chosen], torch.zeros(len(chosen), PATCHES))
        found = evaluate(networks, batch, rules, run)
        classes.append(found.outcome.logits.argmax(1))
        masks.append(found.actions)
    return torch.cat(classes), torch.cat(masks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--config", choices=["reference", "best-fp32", "best-bf16"], required=True)
    parser.add_argument("--data_dir", type=Path, required=True)
    parser.add_argument("--classifier", type=Path, required=True, help="folder of a checkpoint with resnet_hr.safetensors")
    parser.add_argument("--out", type=Path, required=True, help="folder for evaluations and predictions")
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--test_interval", type=int, default=1, help="epochs between evaluations (%(default)s)")
    parser.add_argument("--batch_size", type=int, default=512)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--penalty", type=float, default=-0.5)
    parser.add_argument("--alpha", type=float, default=0.8)
    parser.add_argument("--curriculum", action="store_true", help="in epoch e the policy decides the first e + 1 patches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    log = Log(args.out.resolve())
    torch.set_num_threads(args.threads)
    torch.manual_seed(args.seed)
    if args.config != "reference":
        keep_memory()
    held_out = read((args.data_dir / "test").resolve(), args.threads)
    training = read((args.data_dir / "train").resolve(), args.threads)
    if len(training.labels) < args.batch_size:
        parser.error(f"--batch_size: must be at most {len(training.labels)}, the number of training images")
    run = EXECUTIONS[args.config]
    networks = Actor(new_policy(), saved_classifier(args.classifier))
    if networks.high.fc.out_features != len(training.classes):
        parser.error(f"--classifier: must know {len(training.classes)} classes, as the data has")
    if run.channels_last:
        networks.policy.to(memory_format=torch.channels_last)
        networks.high.to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(networks.policy.parameters(), lr=args.lr, fused=args.config != "reference")
    for epoch in range(1, args.epochs + 1):
        decided = min(epoch, PATCHES) if args.curriculum else PATCHES
        rules = Rules(penalty=args.penalty, alpha=args.alpha, decided=decided)
        for chosen in torch.randperm(len(training.labels)).split(args.batch_size):
            if len(chosen) < 2:  # a batch norm has no variance of one image
                continue
            pixels = moved_in_memory(training.pixels[chosen])
            batch = Batch(pixels, training.labels[chosen], torch.rand(len(chosen), PATCHES))
            pretrain_step(networks, batch, optimizer, rules, run)
        if epoch % args.test_interval == 0 or epoch == args.epochs:
            # A test leaves all patches to the policy, whatever the curriculum.
            log.evaluated(epoch, held_out, *test(networks, held_out, Rules(penalty=args.penalty), run))
        else:
            log.say(epoch=epoch)


if __name__ == "__main__":
    main()
