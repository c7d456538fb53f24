"""Frames, labels and augmentation, each against a slow reference or a planted answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cgs.base.errors import ConfigError, DataError, TrainError
from cgs.base.options import TrainOptions
from cgs.feats.splice import splice
from cgs.nn.augment import augmented, check_augmentation, time_masked
from cgs.nn.data import NO_LABEL, held_out_utterances, make_frames
from cgs.nn.labels import keyword_classes, keyword_ids, log_prior

RANDOM = np.random.default_rng(1)
FEATURES = {name: RANDOM.standard_normal((n_frames, 3)).astype(np.float32) for name, n_frames in (("b", 9), ("a", 1), ("c", 4), ("unaligned", 5))}
LABELS = {name: RANDOM.integers(0, 4, len(FEATURES[name])).astype(np.int32) for name in "cab"}


def test_batches_are_spliced_frames_with_their_labels():
    frames = make_frames(FEATURES, LABELS, 5, 2)
    batch = frames.batch(torch.arange(len(frames)))
    assert np.array_equal(batch.inputs.numpy(), np.concatenate([splice(FEATURES[name], 5, 2) for name in "abc"]))
    assert np.array_equal(batch.labels.numpy(), np.concatenate([LABELS[name] for name in "abc"]))
    assert frames.n_in == 24 and frames.batch(torch.tensor([3, 0])).inputs.shape == (2, 24)


def test_frames_without_label_are_seen_but_not_trained_on():
    labels = {"b": np.array([0, NO_LABEL, 2, 2, NO_LABEL, 1, 1, 1, 0])}
    frames = make_frames(FEATURES, labels, 1, 1)
    assert frames.labels.tolist() == [0, 2, 2, 1, 1, 1, 0]
    assert np.array_equal(frames.batch(torch.tensor([1])).inputs.numpy()[0], FEATURES["b"][1:4].ravel())


def test_thinned_labels_take_turns_and_others_come_every_epoch():
    labels = {"b": np.array([0, 0, 0, 5, 5, 0, 0, 0, 0])}
    frames = make_frames(FEATURES, labels, 0, 0, thinned=(0,), stride=3)
    seen = [frames.of_epoch(epoch, frames.features).starts.tolist() for epoch in range(4)]
    assert seen == [[0, 3, 4, 6], [1, 3, 4, 7], [2, 3, 4, 5, 8], [0, 3, 4, 6]]


def test_labels_of_another_length_are_refused_with_the_utterance():
    with pytest.raises(DataError, match="b: 9 frames of features, 8 of labels"):
        make_frames(FEATURES, {"b": np.zeros(8, dtype=np.int32)}, 1, 1)
    with pytest.raises(DataError, match="z: aligned"):
        make_frames(FEATURES, {"z": np.zeros(8, dtype=np.int32)}, 1, 1)
    with pytest.raises(TrainError, match="no labelled frame"):
        make_frames(FEATURES, {"c": np.full(4, NO_LABEL)}, 1, 1)


def test_whole_speakers_are_held_out_where_there_are_enough():
    speakers = {f"s{index % 20}-{index}": f"s{index % 20}" for index in range(200)}
    chosen = held_out_utterances(speakers, 0.1)
    assert len(chosen) == 20 and len({speakers[u] for u in chosen}) == 2
    assert chosen == held_out_utterances(dict(reversed(speakers.items())), 0.1)


def test_utterances_are_held_out_where_speakers_are_few():
    speakers = {f"s{index % 3}-{index}": f"s{index % 3}" for index in range(60)}
    chosen = held_out_utterances(speakers, 0.1)
    assert len(chosen) == 6
    assert len(held_out_utterances({"a": "s", "b": "s"}, 0.05)) == 1
    with pytest.raises(TrainError, match="at least two"):
        held_out_utterances({"a": "s"}, 0.05)


def test_keyword_frames_count_from_their_share_on():
    words = np.array([0, 0, 7, 7, 7, 7, 7, 4, 4, 0, 9, 9, 9, 9])
    assert keyword_classes(words, {7: 2, 9: 3}, 0.5).tolist() == [0, 0, -1, -1, -1, 2, 2, 1, 1, 0, -1, -1, 3, 3]
    assert keyword_classes(words, {7: 2}, 1.0).tolist()[2:7] == [-1, -1, -1, -1, 2]
    assert keyword_classes(words[:0], {7: 2}, 0.5).shape == (0,)


def test_keywords_outside_the_vocabulary_are_named():
    assert keyword_ids(["go", "stop"], {"stop": 5, "go": 9}) == {9: 2, 5: 3}
    with pytest.raises(DataError, match="keywords left are not"):
        keyword_ids(["go", "left"], {"go": 9})


def test_prior_is_the_share_of_frames_with_a_floor():
    prior = np.exp(log_prior({"a": np.array([0] * 60 + [1] * 30), "b": np.array([1] * 10)}, 3))
    assert prior == pytest.approx(np.array([60, 40, 10]) / 110)
    with pytest.raises(DataError, match=r"a: pdf-ids 0 to 3 where the model has 3"):
        log_prior({"a": np.array([0, 3])}, 3)


def generator():
    return torch.Generator().manual_seed(3)


def test_nothing_asked_for_changes_nothing():
    x = torch.randn(6, 5)
    assert augmented(x, torch.tensor([6]), "fbank", TrainOptions(), generator()) is x


def test_a_warp_reads_each_bin_from_its_stretched_place():
    x = torch.arange(40.0).repeat(6, 1) * torch.tensor([1.0, 1, 1, 1, 2, 2])[:, None]
    y = augmented(x, torch.tensor([4, 6]), "fbank", TrainOptions(mel_warp=0.2), generator())
    factors = 1 + (2 * torch.rand(2, 1, generator=generator()) - 1) * 0.2
    expected = (torch.arange(40) * factors).clamp(max=39) * torch.tensor([[1.0], [2.0]])
    assert torch.allclose(y, expected.repeat_interleave(torch.tensor([4, 2]), dim=0), atol=1e-4)


def test_masks_silence_one_band_of_an_utterance():
    options = TrainOptions(frequency_masks=1, frequency_mask_bins=6)
    y = augmented(torch.ones(50, 20), torch.arange(1, 51), "fbank", options, generator())
    masked = (y == 0).sum(dim=1)
    assert set(y.unique().tolist()) == {0.0, 1.0} and masked.max() == 6 and masked.min() == 0
    assert all((row == 0).int().diff().abs().sum() <= 2 for row in y)


@pytest.mark.parametrize("kind", ["fbank", "mfcc", "fmllr"])
def test_time_masks_hide_whole_frames_in_short_spans_of_each_utterance(kind):
    options = TrainOptions(time_masks=2, time_mask_frames=8)
    ends = torch.tensor([400, 420, 1000])
    y = augmented(torch.ones(1000, 5), ends, kind, options, generator())
    hidden = (y == 0).all(dim=1)
    assert torch.equal(hidden, (y == 0).any(dim=1)) and set(y.unique().tolist()) == {0.0, 1.0}
    assert not hidden[400:420].any()  # 20 frames: 0.4 spans, rounded to none
    for part, n_spans in ((hidden[:400], 8), (hidden[420:], 12)):
        edges = torch.nonzero(torch.cat([torch.tensor([0]), part.int(), torch.tensor([0])]).diff()).flatten()
        assert 0 < len(edges) / 2 <= n_spans and 0 < int(part.sum()) <= 8 * n_spans


def test_time_masks_fall_evenly_with_every_width_and_stay_inside_their_utterance():
    masks = [time_masked(torch.tensor([50, 100]), TrainOptions(time_masks=2, time_mask_frames=4), torch.Generator().manual_seed(seed)) for seed in range(4000)]
    share = torch.stack(masks).float().mean(0)
    assert share[5:45].mean() == pytest.approx(2 / 49, rel=0.05)  # a span of 2 rows on average, one in 50 rows
    assert (share[48:52] < share[20:30].mean()).all()  # no span reaches over the end
    widths = {int(mask[:50].sum()) for mask in masks}
    assert widths == {0, 1, 2, 3, 4}


def test_a_span_longer_than_its_utterance_is_cut():
    options = TrainOptions(time_masks=100, time_mask_frames=50)
    hidden = time_masked(torch.tensor([4, 8]), options, generator())
    assert hidden.shape == (8,) and hidden.any()


def test_time_masks_leave_the_other_draws_as_they_were():
    x, ends = torch.randn(300, 20), torch.tensor([100, 300])
    others = {"mel_warp": 0.1, "frequency_masks": 1, "gain": 0.2}
    without, both = (augmented(x, ends, "fbank", TrainOptions(**others, time_masks=n), generator()) for n in (0, 3))
    hidden = (both == 0).all(dim=1)
    assert 0 < hidden.sum() < 300 and torch.equal(without[~hidden], both[~hidden])


def test_gain_moves_all_bins_of_a_filterbank_and_only_c0_of_mfcc():
    for kind, moved in (("fbank", 5), ("mfcc", 1)):
        y = augmented(torch.zeros(6, 5), torch.tensor([3, 6]), kind, TrainOptions(gain=0.5), generator())
        assert torch.equal(y[0], y[2]) and not torch.equal(y[2], y[3])
        assert int((y[0] != 0).sum()) == moved and y.abs().max() <= 0.5
        assert y[0, :moved].unique().numel() == 1


def test_mfcc_have_no_mel_axis_to_change():
    with pytest.raises(ConfigError, match="need log-mel features, not mfcc"):
        check_augmentation("mfcc", TrainOptions(mel_warp=0.1))
    check_augmentation("mfcc", TrainOptions(gain=1.0, time_masks=1.0))
