"""Copies of a network's weights, and their mean."""

from __future__ import annotations

import torch
from torch import nn

State = dict[str, torch.Tensor]
"""Weights and buffers by name, on the CPU."""


def state_of(network: nn.Module) -> State:
    """A copy of a network's weights and buffers as they are now."""
    return {name: tensor.detach().cpu().clone() for name, tensor in network.state_dict().items()}


def mean_of(states: list[State]) -> State:
    """The mean of each weight over several states of one network; buffers of whole numbers, such as the kept blocks, are the last state's.

    A dropped weight has no place in any state, so it has none in the mean.
    """
    return {name: _mean([state[name] for state in states]) if last.is_floating_point() else last for name, last in states[-1].items()}


def _mean(tensors: list[torch.Tensor]) -> torch.Tensor:
    total = torch.zeros_like(tensors[0], dtype=torch.float64)
    for tensor in tensors:
        total += tensor
    return (total / len(tensors)).to(tensors[0].dtype)
