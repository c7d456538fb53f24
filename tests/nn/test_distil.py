"""Distillation: the loss between labels and teacher, no gradient for the teacher, and recipes that name teachers who are not there."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from cgs.base.errors import ConfigError
from cgs.base.options import Recipe
from cgs.nn.data import NO_LABEL, Minibatch
from cgs.nn.distil import Distillation
from cgs.nn.network import NetworkSpec, build_network, save_network
from cgs.nn.step import frame_loss


def batch() -> Minibatch:
    generator = torch.Generator().manual_seed(3)
    labels = torch.randint(0, 5, (40,), generator=generator)
    labels[::7] = NO_LABEL
    return Minibatch(torch.randn(40, 8, generator=generator), labels)


def network(seed: int = 1, n_out: int = 5):
    return build_network(NetworkSpec(n_in=8, hidden=(16,), n_out=n_out, seed=seed))


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_between_labels_and_teacher(reduction: str) -> None:
    teacher, pupil, frames = network(1), network(2), batch()
    outputs, named = pupil(frames.inputs), frames.labels != NO_LABEL
    labels = frame_loss(outputs, frames, reduction)
    p, q = torch.softmax(teacher(frames.inputs), 1)[named], torch.log_softmax(outputs, 1)[named]
    taught = -(p * q).sum() / (named.sum() if reduction == "mean" else 1)
    for weight in (0.0, 0.3, 1.0):
        torch.testing.assert_close(Distillation(teacher, weight)(outputs, frames, reduction), (1 - weight) * labels + weight * taught)


def test_a_pupil_as_good_as_its_teacher_learns_nothing_more_and_the_teacher_never_does() -> None:
    teacher, pupil, frames = network(1), network(1), batch()
    before = [p.clone() for p in teacher.parameters()]
    Distillation(teacher, 1.0)(pupil(frames.inputs), frames).backward()
    assert all(p.grad.abs().max() < 1e-6 for p in pupil.parameters())
    assert all(p.grad is None and torch.equal(p, old) for p, old in zip(teacher.parameters(), before, strict=True))


def test_a_teacher_multiplies_as_its_pupil_does_while_that_learns() -> None:
    teacher, pupil, frames, seen = network(1), network(2), batch(), []
    teacher.register_forward_hook(lambda module, inputs, logits: seen.append(logits.dtype))
    taught = Distillation(teacher, 0.5, "autocast")
    taught(pupil(frames.inputs), frames).backward()
    with torch.inference_mode():
        taught(pupil(frames.inputs), frames)
    assert seen == [torch.bfloat16, torch.float32]


def test_a_pupil_of_a_perfect_teacher_beats_noisy_labels() -> None:
    torch.manual_seed(0)
    x = torch.randn(2000, 8)
    teacher = network(1)
    truth = teacher(x).detach().argmax(1)
    noisy = torch.where(torch.rand(2000) < 0.6, torch.randint(0, 5, (2000,)), truth)
    right = []
    for weight in (0.0, 0.9):
        pupil = network(5)
        optimiser = torch.optim.Adam(pupil.parameters(), lr=0.01)
        for _ in range(200):
            optimiser.zero_grad()
            Distillation(teacher, weight)(pupil(x), Minibatch(x, noisy)).backward()
            optimiser.step()
        right.append(float((pupil(torch.flip(x, [1])).argmax(1) == teacher(torch.flip(x, [1])).argmax(1)).float().mean()))
    assert right[1] > right[0] + 0.05


def test_another_number_of_outputs_is_told(tmp_path: Path) -> None:
    save_network(tmp_path, network(), {})
    assert F.mse_loss(Distillation.of(tmp_path, 0.5, 5, "float32").teacher(batch().inputs), network()(batch().inputs)) == 0
    with pytest.raises(ConfigError, match="5 outputs where its pupil has 6"):
        Distillation.of(tmp_path, 0.5, 6, "float32")


def recipe(**systems: Any) -> Recipe:
    made = {name: {"task": "kws", "method": "dense", "hidden": [8]} | options for name, options in systems.items()}
    return Recipe.model_validate({"recipe": {"name": "a", "title": "a"}, "corpus": {"licence": "a", "attribution": "a"}, "systems": made})


def test_teachers_that_are_not_there_are_told() -> None:
    recipe(a={}, b={"teacher": "a"})
    with pytest.raises(ValueError, match='b.teacher is "c"; it may name, of the systems of task kws, a'):
        recipe(a={}, b={"teacher": "c"})
    with pytest.raises(ValueError, match="none, for it is the first"):
        recipe(a={"teacher": "a"})
    with pytest.raises(ValueError, match="has a teacher itself; name a"):
        recipe(a={}, b={"teacher": "a"}, c={"teacher": "b"})
    with pytest.raises(ValueError, match="feedforward network, which sees other inputs than a tdnn"):
        recipe(a={}, b={"teacher": "a", "model": "tdnn", "offsets": [[-1, 0, 1]]})
    with pytest.raises(ValueError, match="asr"):
        recipe(a={}, b={"task": "asr", "teacher": "a"})
