"""Training features as other voices and rooms might have made them, drawn anew each epoch.

Warps, bands and gain are linear in a frame's features and the same for a whole utterance, so an utterance costs one small
matrix product, before splicing; spans of time are set to the mean after it."""

from __future__ import annotations

import torch

from cgs.base.errors import ConfigError
from cgs.base.options import TrainOptions


def check_augmentation(kind: str, options: TrainOptions) -> None:
    """Refuse changes of a mel axis where features have none. Raises: ConfigError."""
    if kind != "fbank" and (options.mel_warp or options.frequency_masks):
        raise ConfigError(f"mel_warp and frequency_masks need log-mel features, not {kind}", "set both to 0 for keyword networks; gain and time_masks work")


def augmented(features: torch.Tensor, utterance_ends: torch.Tensor, kind: str, options: TrainOptions, generator: torch.Generator) -> torch.Tensor:
    """Draw one warp, one set of masks and one gain for each utterance.

    Args:
        features: (rows, D) normalised features, utterance after utterance.
        utterance_ends: (N,) the row after each utterance's last one.
        kind: "fbank", "mfcc" or "fmllr".
        options: mel_warp, frequency_masks, frequency_mask_bins, gain, time_masks, time_mask_frames. The gain is in standard
            deviations, because it is added after normalisation: to every bin of a filterbank, to c0 of MFCC.
        generator: on the CPU; the same state gives the same features.
    Returns: (rows, D), or `features` itself where nothing is asked for.
    Source: warping as in vocal-tract-length perturbation (Jaitly and Hinton 2013), masks as in SpecAugment (Park et al. 2019).
    """
    if options.mel_warp or options.frequency_masks or options.gain:
        features = _changed_in_frequency(features, utterance_ends, kind, options, generator)
    if options.time_masks:
        masked = time_masked(utterance_ends, options, generator)
        features = features.masked_fill(masked.to(features.device)[:, None], 0.0)
    return features


def time_masked(utterance_ends: torch.Tensor, options: TrainOptions, generator: torch.Generator) -> torch.Tensor:
    """Draw the spans of time in which features are set to their mean.

    Args:
        utterance_ends: (N,) the row after each utterance's last one; a span lies inside one utterance, spans may overlap.
        options: time_masks, spans for every 100 rows of an utterance, rounded; time_mask_frames, rows of the longest.
        generator: on the CPU.
    Returns: (rows,) bool, True in a span. Labels are left alone: a frame in a span is learnt from what its context still shows.
    Source: SpecAugment (Park et al. 2019). Differs: as many spans as suit an utterance's length, as in Park et al. 2020, SpecAugment on
        large scale datasets; where the mean is 0 and the neighbours are in view, short spans hide phones, not words.
    """
    ends = utterance_ends.cpu()
    lengths = torch.diff(ends, prepend=ends.new_zeros(1))
    counts = (lengths * options.time_masks / 100).round().long()
    n_rows, starts = lengths.repeat_interleave(counts), (ends - lengths).repeat_interleave(counts)
    widths = torch.randint(0, options.time_mask_frames + 1, n_rows.shape, generator=generator).minimum(n_rows)
    firsts = starts + (torch.rand(n_rows.shape, generator=generator, dtype=torch.float64) * (n_rows - widths + 1)).long()
    edges = torch.zeros(int(ends[-1]) + 1, dtype=torch.int64)
    edges.index_add_(0, firsts, torch.ones_like(firsts))
    edges.index_add_(0, firsts + widths, -torch.ones_like(firsts))
    return edges.cumsum(0)[:-1] > 0


def _changed_in_frequency(
    features: torch.Tensor, utterance_ends: torch.Tensor, kind: str, options: TrainOptions, generator: torch.Generator
) -> torch.Tensor:
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
