"""The one training loop, of acoustic and keyword networks of every kind.

Adam with decoupled weight decay, a cosine learning rate, cross-entropy against frame labels, and the epoch of the
lowest held-out loss kept. A run that was killed goes on from its last whole epoch and ends with the same bytes as
one that was not."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import torch
from torch.nn import functional as F

from cgs.base.errors import TrainError
from cgs.base.files import digest_of, write_text
from cgs.base.log import LOG
from cgs.base.options import TrainOptions
from cgs.base.units import duration
from cgs.nn.augment import augmented, check_augmentation
from cgs.nn.checkpoint import CHECKPOINT_FILE, Progress, load_checkpoint, save_checkpoint
from cgs.nn.data import NO_LABEL, ExampleSet, Minibatch
from cgs.nn.network import Network

HISTORY_FILE = "training.jsonl"


@dataclass
class Examples:
    """What a network learns from.

    Args:
        training, held_out: labelled frames; the held-out ones choose the epoch.
        kind: "fbank" or "mfcc"; says which augmentation makes sense.
    """

    training: ExampleSet
    held_out: ExampleSet
    kind: str


def train(network: Network, examples: Examples, options: TrainOptions, seed: int, directory: Path, device: str = "cpu") -> Progress:
    """Train a network in place and leave it with the weights of its best epoch.

    Args:
        network: with its first weights.
        examples: see `Examples`.
        options: epochs, minibatch, learning rates, augmentation.
        seed: of the order of the frames, dropout and augmentation.
        directory: training.jsonl and the checkpoint go there; a checkpoint of the same run found there is taken up.
        device: torch device.
    Returns: the history; the checkpoint is removed, so that a finished run leaves none.
    Raises: TrainError: a loss that is no number; names epoch, step and remedy. ConfigError: augmentation that the features cannot have.
    """
    check_augmentation(examples.kind, options)
    network.to(device)
    data = Examples(examples.training.to(device), examples.held_out.to(device), examples.kind)
    optimiser = make_optimiser(network, options)
    run = digest_of([network.spec.model_dump(), options.model_dump(), seed, len(data.training), len(data.held_out), device])
    progress, best = load_checkpoint(directory / CHECKPOINT_FILE, run, network, optimiser)
    if progress.epoch:
        LOG.info("  resumed after epoch %d", progress.epoch)
    while progress.epoch < options.epochs and progress.epoch - 1 - progress.best_epoch < options.patience:
        best = _one_epoch(network, data, options, seed, optimiser, progress, best)
        write_text(directory / HISTORY_FILE, "".join(json.dumps(entry) + "\n" for entry in progress.history))
        save_checkpoint(directory / CHECKPOINT_FILE, progress, network, best, optimiser)
    network.load_state_dict(best)
    network.to("cpu").eval()
    (directory / CHECKPOINT_FILE).unlink(missing_ok=True)
    return progress


@contextlib.contextmanager
def matmul_precision(matmul: str) -> Iterator[None]:
    """Matrix products with bfloat16 factors and float32 sums inside the block: 3 to 4 times faster where the processor multiplies them, else no change."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium" if matmul == "bfloat16" else "highest")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def make_optimiser(network: torch.nn.Module, options: TrainOptions) -> torch.optim.AdamW:
    """AdamW whose decay spares biases; one fused kernel, several times faster on a CPU than the loop over tensors."""
    weights = [p for name, p in network.named_parameters() if not name.endswith("bias")]
    biases = [p for name, p in network.named_parameters() if name.endswith("bias")]
    groups = [{"params": weights, "weight_decay": options.weight_decay}, {"params": biases, "weight_decay": 0.0}]
    return torch.optim.AdamW(groups, lr=options.learning_rate, fused=True)


def cosine_rate(options: TrainOptions, epochs_done: float) -> float:
    """Learning rate after a (fractional) number of epochs: half a cosine from the first rate to the last."""
    lowest = min(options.min_learning_rate, options.learning_rate)
    return lowest + (options.learning_rate - lowest) * (1 + math.cos(math.pi * min(1.0, epochs_done / options.epochs))) / 2


def epoch_generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """Random numbers that follow from seed, epoch and purpose alone, so that a resumed run draws the same."""
    digest = hashlib.sha256(f"{purpose} of epoch {epoch}, seed {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))


def frame_loss(outputs: torch.Tensor, batch: Minibatch, reduction: str = "mean") -> torch.Tensor:
    """Cross-entropy of logits (*labels.shape, P) over the labelled frames of a minibatch."""
    return F.cross_entropy(outputs.flatten(0, -2), batch.labels.flatten(), ignore_index=NO_LABEL, reduction=reduction)


def evaluate(network: Network, examples: ExampleSet) -> tuple[float, float]:
    """Mean cross-entropy and accuracy over all frames of a set, without dropout."""
    network.eval()
    loss, correct = 0.0, 0
    with torch.inference_mode():
        for part in examples.in_order():
            batch = examples.batch(part)
            outputs = network(batch.inputs)
            loss += float(frame_loss(outputs, batch, "sum"))
            correct += int((outputs.argmax(dim=-1) == batch.labels).sum())
    return loss / len(examples), correct / len(examples)


def _one_epoch(
    network: Network,
    data: Examples,
    options: TrainOptions,
    seed: int,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    best: dict[str, torch.Tensor],
) -> dict[str, torch.Tensor]:
    start, epoch = time.monotonic(), progress.epoch
    with matmul_precision(options.matmul):
        loss, accuracy = _learn(network, data, options, seed, optimiser, epoch)
    held_out_loss, held_out_accuracy = evaluate(network, data.held_out)
    if not math.isfinite(held_out_loss):
        raise TrainError(f"epoch {epoch + 1}: held-out loss is {held_out_loss}", f"lower learning_rate (now {options.learning_rate:g})")
    if held_out_loss < progress.best_loss:
        progress.best_epoch, progress.best_loss = epoch, held_out_loss
        best = {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}
    entry = {"epoch": epoch + 1, "train_loss": loss, "train_accuracy": accuracy, "held_out_loss": held_out_loss, "held_out_accuracy": held_out_accuracy}
    progress.history.append(entry | {"learning_rate": optimiser.param_groups[0]["lr"], "seconds": time.monotonic() - start})
    progress.epoch += 1
    left = progress.seconds / progress.epoch * (options.epochs - progress.epoch)
    scores = f"loss {loss:.3f}, held out {held_out_loss:.3f} (accuracy {held_out_accuracy:.3f})"
    LOG.info("  epoch %d of %d: %s, about %s left", epoch + 1, options.epochs, scores, duration(left))
    return best


def _learn(network: Network, data: Examples, options: TrainOptions, seed: int, optimiser: torch.optim.Optimizer, epoch: int) -> tuple[float, float]:
    """One pass over the training frames. Returns: mean loss and accuracy, as seen during the pass."""
    network.train()
    torch.manual_seed(epoch_generator(seed, epoch, "dropout").initial_seed())
    features = augmented(data.training.features, data.training.utterance_ends, data.kind, options, epoch_generator(seed, epoch, "augmentation"))
    examples = data.training.of_epoch(epoch, features)
    parts = examples.shuffled(options, epoch_generator(seed, epoch, "order"))
    total, correct = 0.0, 0
    for step, part in enumerate(parts):
        for group in optimiser.param_groups:
            group["lr"] = cosine_rate(options, epoch + step / len(parts))
        batch = examples.batch(part)
        outputs = network(batch.inputs)
        loss = frame_loss(outputs, batch)
        value = loss.item()
        if not math.isfinite(value):
            remedy = f"lower learning_rate (now {options.learning_rate:g}) or look at the features"
            raise TrainError(f"epoch {epoch + 1}, step {step + 1}: loss is {value}", remedy)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        total += value * batch.n_frames
        correct += int((outputs.argmax(dim=-1) == batch.labels).sum())
    return total / len(examples), correct / len(examples)
