"""Chunks of utterances: what is in a minibatch, against the utterances themselves."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cgs.base.errors import DataError, TrainError
from cgs.base.options import TrainOptions
from cgs.feats.splice import with_edges
from cgs.nn.chunks import ChunkSet, make_chunks
from cgs.nn.data import NO_LABEL

RANDOM = np.random.default_rng(1)
LENGTHS = {"b": 23, "a": 1, "c": 10, "d": 11, "unaligned": 5}
FEATURES = {name: RANDOM.standard_normal((n_frames, 3)).astype(np.float32) for name, n_frames in LENGTHS.items()}
LABELS = {name: RANDOM.integers(0, 4, LENGTHS[name]).astype(np.int32) for name in "dcab"}
OPTIONS = TrainOptions(minibatch_chunks=2)
LEFT, RIGHT = 4, 2


def chunks(**changes) -> ChunkSet:
    return make_chunks(**({"features": FEATURES, "labels": LABELS, "left": LEFT, "right": RIGHT, "chunk_frames": 10} | changes))


def generator() -> torch.Generator:
    return torch.Generator().manual_seed(3)


def test_utterances_are_cut_evenly_and_every_frame_is_in_one_chunk():
    made = chunks()
    assert sorted(made.lengths.tolist()) == [1, 5, 6, 7, 8, 8, 10]
    assert len(made) == 1 + 23 + 10 + 11
    seen = []
    for part in made.shuffled(OPTIONS, generator()):
        batch = made.batch(part)
        for name, first, length in zip(batch.utterances, batch.first_frames.tolist(), batch.lengths.tolist(), strict=True):
            seen += [(name, frame) for frame in range(first, first + length)]
    assert sorted(seen) == [(name, frame) for name in "abcd" for frame in range(LENGTHS[name])]


@pytest.mark.parametrize("chunk_frames", [10, 0])
def test_a_row_is_the_chunk_with_its_context_and_its_labels(chunk_frames):
    made = chunks(chunk_frames=chunk_frames)
    for part in made.in_order():
        batch = made.batch(part)
        n_frames = batch.labels.shape[1]
        assert batch.inputs.shape == (len(part), LEFT + n_frames + RIGHT, 3) and n_frames == int(batch.lengths.max())
        for row, (name, first, length) in enumerate(zip(batch.utterances, batch.first_frames.tolist(), batch.lengths.tolist(), strict=True)):
            padded = with_edges(FEATURES[name], LEFT, RIGHT)
            assert np.array_equal(batch.inputs[row, : LEFT + length + RIGHT].numpy(), padded[first : first + LEFT + length + RIGHT])
            assert batch.labels[row, :length].tolist() == LABELS[name][first : first + length].tolist()
            assert (batch.labels[row, length:] == NO_LABEL).all()
            beyond = batch.inputs[row, LEFT + length + RIGHT :].numpy()
            assert all((padded == frame).all(axis=1).any() for frame in beyond), "padding is of the same utterance"
        assert batch.n_frames == int(batch.lengths.sum())


def test_whole_utterances_where_no_length_is_given():
    assert sorted(chunks(chunk_frames=0).lengths.tolist()) == [1, 10, 11, 23]


def test_frames_without_label_are_seen_but_nothing_is_asked_of_them():
    labels = {"c": np.array([NO_LABEL] * 5 + [1, NO_LABEL, 2, 3, 3]), "d": np.full(11, NO_LABEL)}
    made = chunks(labels=labels, chunk_frames=5)
    assert len(made) == 4 and made.lengths.tolist() == [5], "chunks without any label are left out"
    batch = made.batch(torch.tensor([0]))
    assert batch.labels[0].tolist() == [1, NO_LABEL, 2, 3, 3] and batch.first_frames.tolist() == [5]
    assert np.array_equal(batch.inputs[0, :LEFT].numpy(), FEATURES["c"][1:5])


def test_thinned_labels_take_turns_and_others_come_every_epoch():
    labels = {"c": np.array([0, 0, 0, 5, 5, 0, 0, 0, 0, 0])}
    made = chunks(labels=labels, thinned=(0,), stride=3)
    asked = [np.flatnonzero((made.of_epoch(epoch, made.features).batch(torch.tensor([0])).labels[0] != NO_LABEL).numpy()).tolist() for epoch in range(4)]
    assert asked == [[0, 3, 4, 6, 9], [1, 3, 4, 7], [2, 3, 4, 5, 8], [0, 3, 4, 6, 9]]


def test_an_epoch_sees_other_features():
    made = chunks()
    shown = made.of_epoch(0, made.features + 1)
    assert torch.equal(shown.batch(torch.tensor([2])).inputs, made.batch(torch.tensor([2])).inputs + 1)


def test_the_order_follows_from_the_generator_and_every_chunk_comes_once():
    made = chunks(chunk_frames=2)
    one, same = ([part.tolist() for part in made.shuffled(OPTIONS, generator())] for _ in range(2))
    other = [part.tolist() for part in made.shuffled(OPTIONS, torch.Generator().manual_seed(4))]
    assert one == same != other
    assert sorted(sum(one, [])) == sorted(sum(other, [])) == list(range(len(made.starts)))
    assert all(len(part) <= 2 for part in one)


def test_evaluation_calls_hold_few_frames(monkeypatch):
    monkeypatch.setattr("cgs.nn.chunks.EVALUATION_FRAMES", 22)
    made = chunks(chunk_frames=0)
    sizes = [made.batch(part).labels.shape for part in made.in_order()]
    assert sizes == [(2, 10), (1, 11), (1, 23)]


def test_a_sample_is_spread_over_the_set():
    made = chunks(chunk_frames=1)
    assert made.spread(5).tolist() == [0, 11, 22, 33, 44]
    assert made.spread(1000).tolist() == list(range(45))


def test_labels_that_do_not_fit_are_refused_as_for_frames():
    with pytest.raises(DataError, match="b: 23 frames of features, 8 of labels"):
        chunks(labels={"b": np.zeros(8, dtype=np.int32)})
    with pytest.raises(TrainError, match="no labelled frame"):
        chunks(labels={"c": np.full(10, NO_LABEL)})
