"""Training features as other voices and rooms might have made them, drawn anew each epoch.

Every change is linear in a frame's features and the same for a whole utterance, so an utterance costs one small
matrix product, before splicing."""

from __future__ import annotations

import torch

from cgs.base.errors import ConfigError
from cgs.base.options import TrainOptions


def check_augmentation(kind: str, options: TrainOptions) -> None:
    """Refuse changes of a mel axis where features have none. Raises: ConfigError."""
    if kind != "fbank" and (options.mel_warp or options.frequency_masks):
        raise ConfigError(f"mel_warp and frequency_masks need log-mel features, not {kind}", "set both to 0 for keyword networks; gain works")


def augmented(features: torch.Tensor, utterance_ends: torch.Tensor, kind: str, options: TrainOptions, generator: torch.Generator) -> torch.Tensor:
    """Draw one warp, one set of masks and one gain for each utterance.

    Args:
        features: (rows, D) normalised features, utterance after utterance.
        utterance_ends: (N,) the row after each utterance's last one.
        kind: "fbank" or "mfcc".
        options: mel_warp, frequency_masks, frequency_mask_bins, gain. The gain is in standard deviations, because it
            is added after normalisation: to every bin of a filterbank, to c0 of MFCC.
        generator: on the CPU; the same state gives the same features.
    Returns: (rows, D), or `features` itself where nothing is asked for.
    Source: warping as in vocal-tract-length perturbation (Jaitly and Hinton 2013), masks as in SpecAugment (Park et al. 2019).
    """
    if not (options.mel_warp or options.frequency_masks or options.gain):
        return features
    n, dimension = len(utterance_ends), features.shape[1]
    matrices = _warps(n, dimension, options.mel_warp, generator) * _masks(n, dimension, options, generator)[:, None, :]
    gains = (2 * torch.rand(n, 1, generator=generator) - 1) * options.gain
    offsets = gains.expand(n, dimension).clone()
    if kind != "fbank":
        offsets[:, 1:] = 0
    matrices, offsets = matrices.to(features.device), offsets.to(features.device)
    result, start = torch.empty_like(features), 0
    for utterance, end in enumerate(utterance_ends.tolist()):
        torch.addmm(offsets[utterance], features[start:end], matrices[utterance], out=result[start:end])
        start = end
    return result


def _warps(n: int, dimension: int, widest: float, generator: torch.Generator) -> torch.Tensor:
    """(n, D, D) matrices that read bin j from bin j * factor, between bins by linear interpolation, clipped at the ends."""
    if not widest:
        return torch.eye(dimension).repeat(n, 1, 1)
    factors = 1 + (2 * torch.rand(n, 1, generator=generator) - 1) * widest
    places = (torch.arange(dimension) * factors).clamp(max=dimension - 1)
    lower = places.floor().clamp(max=max(0, dimension - 2))
    share = places - lower
    matrices = torch.zeros(n, dimension, dimension)
    matrices.scatter_(1, lower.long()[:, None, :], (1 - share)[:, None, :])
    upper = (lower.long() + 1).clamp(max=dimension - 1)
    return matrices.scatter_add_(1, upper[:, None, :], share[:, None, :])


def _masks(n: int, dimension: int, options: TrainOptions, generator: torch.Generator) -> torch.Tensor:
    """(n, D) factors, 0 in masked bands: the mean of a normalised bin."""
    bins = torch.arange(dimension)
    kept = torch.ones(n, dimension)
    for _ in range(options.frequency_masks):
        width = torch.randint(0, min(options.frequency_mask_bins, dimension) + 1, (n, 1), generator=generator)
        first = (torch.rand(n, 1, generator=generator) * (dimension - width + 1)).long()
        kept *= ~((bins >= first) & (bins < first + width))
    return kept
