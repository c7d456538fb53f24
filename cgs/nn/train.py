"""The one training loop, of acoustic and keyword networks of every kind.

Adam with decoupled weight decay, a cosine learning rate, cross-entropy against frame labels, and the epoch of the
lowest held-out loss kept, or the mean of the last ones, of those with settled masks (`cgs.sparse.pruning`). A run that
was killed goes on from its last whole epoch and ends with the same bytes as one that was not. Several processes may
share each minibatch; their steps are those of one."""

from __future__ import annotations

import copy
import hashlib
import json
import math
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from cgs.base.errors import TrainError
from cgs.base.files import digest_of, write_text
from cgs.base.log import LOG
from cgs.base.log import progress as shown
from cgs.base.options import UNSTAMPED, TrainOptions
from cgs.base.units import duration
from cgs.nn.augment import augmented, check_augmentation
from cgs.nn.average import mean_of, state_of
from cgs.nn.checkpoint import CHECKPOINT_FILE, Kept, Progress, load_checkpoint, save_checkpoint
from cgs.nn.curves import curves
from cgs.nn.data import ExampleSet
from cgs.nn.network import Network
from cgs.nn.parallel import group, together
from cgs.nn.step import Objective, Totals, frame_loss, gradients, make_optimiser, matmul_precision, n_correct, set_rates
from cgs.sparse.pruning import Pruner

HISTORY_FILE = "training.jsonl"


@dataclass
class Examples:
    """What a network learns from.

    Args:
        training, held_out: labelled frames; the held-out ones choose the epoch.
        kind: "fbank" or "mfcc"; says which augmentation makes sense.
        objective: the loss; cross-entropy of frames unless another is given.
    """

    training: ExampleSet
    held_out: ExampleSet
    kind: str
    objective: Objective = frame_loss


def train(
    network: Network, examples: Examples, options: TrainOptions, seed: int, directory: Path, device: str = "cpu", curves_folder: Path | None = None
) -> Progress:
    """Train a network in place and leave it with the weights of its best epoch, or with a mean that is better.

    Args:
        network: with its first weights.
        examples: see `Examples`.
        options: epochs, minibatch, learning rates, augmentation, processes.
        seed: of the order of the frames, dropout and augmentation.
        directory: training.jsonl and the checkpoint go there; a checkpoint of the same run found there is taken up.
        device: torch device.
        curves_folder: where TensorBoard's files go, if options.tensorboard asks for them.
    Returns: the history; the checkpoint is removed, so that a finished run leaves none.
    Raises: TrainError: a loss that is no number; names epoch, step and remedy. ConfigError: augmentation that the features cannot have.
        ToolError: one of several processes was killed, or TensorBoard is missing.
    """
    check_augmentation(examples.kind, options)
    if options.processes > group().size == 1:
        progress: Progress = together(_train_copy, (network, examples, options, seed, directory, device, curves_folder), options.processes, device)
        network.eval()
        return progress
    network.to(device)
    data = replace(examples, training=examples.training.to(device), held_out=examples.held_out.to(device))
    optimiser = make_optimiser(network, options)
    run = digest_of([network.spec.model_dump(), options.model_dump(exclude=UNSTAMPED), seed, len(data.training), len(data.held_out), device])
    progress, kept = load_checkpoint(directory / CHECKPOINT_FILE, run, network, optimiser)
    pruner = network.pruner()
    if progress.epoch:
        LOG.info("  resumed after epoch %d", progress.epoch)
    with curves(curves_folder if options.tensorboard and group().first else None, progress.epoch) as points:
        while progress.epoch < options.epochs and progress.waited < options.patience:
            _one_epoch(network, data, options, seed, optimiser, progress, kept, pruner)
            points.add(progress.epoch, progress.history[-1], network)
            if group().first:
                write_text(directory / HISTORY_FILE, "".join(json.dumps(entry) + "\n" for entry in progress.history))
                save_checkpoint(directory / CHECKPOINT_FILE, progress, network, kept, optimiser)
    _choose_weights(network, data, progress, kept)
    network.to("cpu").eval()
    if group().first:
        (directory / CHECKPOINT_FILE).unlink(missing_ok=True)
    return progress


def _train_copy(network: Network, *arguments: Any) -> Progress:
    """`train` in one of several processes, which all see the same network and leave it alone until it is trained."""
    own = copy.deepcopy(network)
    progress = train(own, *arguments)
    if group().first:
        network.load_state_dict(own.state_dict())
    return progress


def epoch_generator(seed: int, epoch: int, purpose: str) -> torch.Generator:
    """Random numbers that follow from seed, epoch and purpose alone, so that a resumed run draws the same."""
    digest = hashlib.sha256(f"{purpose} of epoch {epoch}, seed {seed}".encode()).digest()
    return torch.Generator().manual_seed(int.from_bytes(digest[:7], "little"))


def evaluate(network: Network, examples: ExampleSet, objective: Objective = frame_loss) -> tuple[float, float]:
    """Mean loss and accuracy over all frames of a set, without dropout; processes of a group share the work."""
    network.eval()
    loss, correct = 0.0, 0
    with torch.inference_mode():
        for part in examples.in_order():
            _, share = group().share(part)
            if len(share):
                batch = examples.batch(share)
                outputs = network(batch.inputs).contiguous()
                loss += float(objective(outputs, batch, "sum"))
                correct += int(n_correct(outputs, batch))
    loss, correct = group().sum(torch.tensor([loss, correct], dtype=torch.float64, device=examples.features.device)).tolist()
    return loss / len(examples), correct / len(examples)


def _one_epoch(
    network: Network,
    data: Examples,
    options: TrainOptions,
    seed: int,
    optimiser: torch.optim.Optimizer,
    progress: Progress,
    kept: Kept,
    pruner: Pruner,
) -> None:
    start, epoch = time.monotonic(), progress.epoch
    group().follow_first(network)
    with matmul_precision(options.matmul):
        loss, accuracy = _learn(network, data, options, seed, optimiser, pruner, epoch)
    held_out_loss, held_out_accuracy = evaluate(network, data.held_out, data.objective)
    if not math.isfinite(held_out_loss):
        raise TrainError(f"epoch {epoch + 1}: held-out loss is {held_out_loss}", f"lower learning_rate (now {options.learning_rate:g})")
    if pruner.settled:
        state = state_of(network)
        if held_out_loss < progress.best_loss:
            progress.best_epoch, progress.best_loss, kept.best = epoch, held_out_loss, state
        kept.recent = [*kept.recent, state][-options.average :] if options.average else []
    else:
        progress.unsettled = epoch + 1
    entry = {"epoch": epoch + 1, "train_loss": loss, "train_accuracy": accuracy, "held_out_loss": held_out_loss, "held_out_accuracy": held_out_accuracy}
    progress.history.append(entry | {"learning_rate": optimiser.param_groups[-1]["lr"], "seconds": time.monotonic() - start})
    progress.epoch += 1
    left = progress.seconds / progress.epoch * (options.epochs - progress.epoch)
    scores = f"loss {loss:.3f}, held out {held_out_loss:.3f} (accuracy {held_out_accuracy:.3f})"
    LOG.info("  epoch %d of %d: %s, about %s left", epoch + 1, options.epochs, scores, duration(left))


def _choose_weights(network: Network, data: Examples, progress: Progress, kept: Kept) -> None:
    """Load the best epoch's weights, or the mean of the last epochs' where its held-out loss is lower still."""
    if len(kept.recent) > 1:
        network.load_state_dict(mean_of(kept.recent))
        loss, _ = evaluate(network, data.held_out, data.objective)
        better = loss < progress.best_loss
        told = f"held out {loss:.4f} against {progress.best_loss:.4f} of epoch {progress.best_epoch + 1}"
        LOG.info("  mean of the last %d epochs: %s%s", len(kept.recent), told, " (kept)" if better else "")
        if better:
            progress.averaged = len(kept.recent)
            return
    network.load_state_dict(kept.best)


def _learn(
    network: Network, data: Examples, options: TrainOptions, seed: int, optimiser: torch.optim.Optimizer, pruner: Pruner, epoch: int
) -> tuple[float, float]:
    """One pass over the training frames. Returns: mean loss and accuracy, as seen during the pass."""
    network.train()
    torch.manual_seed(epoch_generator(seed, epoch, "dropout").initial_seed())
    features = augmented(data.training.features, data.training.utterance_ends, data.kind, options, epoch_generator(seed, epoch, "augmentation"))
    examples = data.training.of_epoch(epoch, features)
    parts = examples.shuffled(options, epoch_generator(seed, epoch, "order"))
    totals = Totals(epoch, options.learning_rate)
    members = group()
    for step, part in enumerate(shown(parts, f"  epoch {epoch + 1} of {options.epochs}, steps") if members.first else parts):
        set_rates(optimiser, network, options, epoch + step / len(parts))
        optimiser.zero_grad()
        totals.add(gradients(network, examples, part, data.objective, options.matmul, members))
        pruner.before_step(epoch * len(parts) + step, options.epochs * len(parts))
        if options.max_gradient_norm:
            torch.nn.utils.clip_grad_norm_(network.parameters(), options.max_gradient_norm)
        optimiser.step()
        pruner.after_step()
    totals.look()
    return totals.loss / len(examples), totals.correct / len(examples)
