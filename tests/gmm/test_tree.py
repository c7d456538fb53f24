"""The tree finds planted contexts, splits as a slow search does, and survives Kaldi's format."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import FormatError, TrainError
from cgs.gmm import tree_stats
from cgs.gmm.questions import phone_questions
from cgs.gmm.tree import CENTRE, LEFT, RIGHT, DecisionTree, TreeOptions, best_split, grow, monophone_tree, question_table
from cgs.gmm.tree_format import context_dependency, tree_bytes

PHONES = range(1, 7)
SILENCE = 1
ROOTS = [((phone,), state) for phone in PHONES for state in range(3)]
SETS = [(2,), (3,), (4,), (2, 3), (4, 5), (2, 3, 4), (5, 6), (1,)]


def drawn_stats(seed: int, effect: float = 4.0, per_context: int = 15) -> tree_stats.TreeStats:
    """Phone 4's first state moves by `effect` after phones 2 and 3; nothing else depends on context."""
    rng = np.random.default_rng(seed)
    contexts = np.array(list(itertools.product(PHONES, PHONES, PHONES, range(3)))).repeat(per_context, axis=0)
    features = rng.standard_normal((len(contexts), 3)).astype(np.float32)
    features[:, 0] += 2 * contexts[:, 1]
    features[:, 1] += effect * (np.isin(contexts[:, 0], (2, 3)) & (contexts[:, 1] == 4) & (contexts[:, 3] == 0))
    return tree_stats.accumulate(features, contexts)


def test_planted_context_is_the_first_split():
    grown = grow(drawn_stats(0), ROOTS, [SILENCE], SETS, TreeOptions(len(ROOTS) + 1, 50.0, 10))
    node = grown.roots[4, 0]
    assert (node.position, node.phones) == (LEFT, (2, 3))
    assert grown.n_pdfs == len(ROOTS) + 1
    assert grown.pdf(2, 4, 6, 0) == grown.pdf(3, 4, 1, 0) != grown.pdf(5, 4, 6, 0)


def test_nothing_is_split_where_nothing_is_planted():
    assert grow(drawn_stats(1, effect=0.0), ROOTS, [SILENCE], SETS, TreeOptions(100, 60.0, 10)).n_pdfs == len(ROOTS)


def _slow_likelihood(frames: np.ndarray) -> float:
    variances = np.maximum(frames.var(axis=0), 1e-2)
    return float(-0.5 * (np.log(variances) + np.square(frames - frames.mean(axis=0)) / variances).sum())


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000))
def test_best_split_is_that_of_a_search_over_frames(seed: int):
    rng = np.random.default_rng(seed)
    contexts = np.stack([rng.integers(1, 7, 200), np.full(200, 4), rng.integers(1, 7, 200), np.zeros(200, int)], axis=1)
    frames = (rng.standard_normal((200, 2)) + 0.5 * contexts[:, [0, 2]]).astype(np.float32)
    found = best_split(tree_stats.accumulate(frames, contexts), SETS, question_table(SETS, 7), (LEFT, RIGHT), 20)
    gains = {}
    for position, phones in itertools.product((LEFT, RIGHT), SETS):
        yes = np.isin(contexts[:, position], phones)
        if min(yes.sum(), (~yes).sum()) >= 20:
            exact = frames.astype(np.float64)
            gains[position, phones] = _slow_likelihood(exact[yes]) + _slow_likelihood(exact[~yes]) - _slow_likelihood(exact)
    best = max(gains, key=gains.__getitem__)
    assert found.gain == pytest.approx(gains[best], rel=1e-6)
    assert gains[found.position, found.phones] == pytest.approx(gains[best], rel=1e-9)


def test_min_count_holds_on_both_sides():
    stats = drawn_stats(2).where(np.array([0]))
    assert best_split(stats, SETS, question_table(SETS, 7), (LEFT, RIGHT), 1.0).gain == 0


def test_tree_reads_back_in_the_library():
    grown = grow(drawn_stats(3), ROOTS, [SILENCE], SETS, TreeOptions(60, 0.5, 5))
    assert grown.n_pdfs == 60
    assert_same_in_library(grown, max_phone=6)


def test_shared_roots_may_ask_about_the_centre():
    stats = drawn_stats(4)
    shared = [(phones, state) for phones in ((SILENCE,), (2, 3), (4,), (5,), (6,)) for state in range(3)]
    grown = grow(stats, shared, [SILENCE], SETS, TreeOptions(len(shared) + 3, 50.0, 10))
    node = grown.roots[2, 1]
    assert node is grown.roots[3, 1]
    assert node.position == CENTRE
    assert_same_in_library(grown, max_phone=6)


def assert_same_in_library(grown: DecisionTree, max_phone: int) -> None:
    """Every context, utterance edges included, has the same pdf in kaldi_hmm_gmm."""
    library = context_dependency(tree_bytes(grown))
    assert library.num_pdfs == grown.n_pdfs
    for left, centre, right, state in itertools.product(range(max_phone + 1), PHONES, range(max_phone + 1), range(3)):
        assert library.compute([left, centre, right], state) == (True, grown.pdf(left, centre, right, state))


def test_monophone_tree_has_a_leaf_a_root():
    monophones = monophone_tree(ROOTS)
    assert monophones.n_pdfs == len(ROOTS)
    assert_same_in_library(monophones, max_phone=6)


def test_too_few_leaves_names_the_option():
    with pytest.raises(TrainError, match=r"3 leaves for a tree of 18 roots.*raise align.n_leaves"):
        grow(drawn_stats(5), ROOTS, [SILENCE], SETS, TreeOptions(3))


def test_altered_tree_is_told():
    with pytest.raises(FormatError, match="not a decision tree"):
        context_dependency(tree_bytes(monophone_tree(ROOTS))[:-4])


def test_questions_join_phones_that_sound_alike():
    rng = np.random.default_rng(6)
    places = {1: (0, 0), 2: (10, 0), 3: (10.5, 0), 4: (0, 10), 5: (0, 10.5), 6: (30, 30)}
    contexts = np.array([(1, phone, 1, 1) for phone in PHONES]).repeat(50, axis=0)
    features = np.array([places[phone] for phone in contexts[:, 1]]) + rng.standard_normal((len(contexts), 2))
    asked = phone_questions(tree_stats.accumulate(features.astype(np.float32), contexts), [(phone,) for phone in PHONES])
    assert set(asked[:6]) == {(phone,) for phone in PHONES}
    assert {(2, 3), (4, 5)} <= set(asked[6:8])
    assert tuple(PHONES) not in asked


def test_phones_without_frames_are_only_their_own_question():
    contexts = np.array([(1, phone, 1, 1) for phone in (1, 2, 3)]).repeat(30, axis=0)
    stats = tree_stats.accumulate(np.random.default_rng(7).normal(size=(90, 2)).astype(np.float32), contexts)
    asked = phone_questions(stats, [(phone,) for phone in PHONES])
    assert [phones for phones in asked if 6 in phones] == [(6,)]


def test_stats_of_parts_and_of_merged_contexts_add_up():
    rng = np.random.default_rng(8)
    contexts = rng.integers(1, 4, (500, 4))
    features = rng.normal(size=(500, 2)).astype(np.float32)
    whole = tree_stats.accumulate(features, contexts)
    parts = tree_stats.add([tree_stats.accumulate(features[:200], contexts[:200]), tree_stats.accumulate(features[200:], contexts[200:])])
    np.testing.assert_array_equal(parts.contexts, whole.contexts)
    np.testing.assert_allclose(parts.second, whole.second)
    merged = tree_stats.without_context(whole, [2])
    assert merged.counts.sum() == 500
    np.testing.assert_allclose(merged.first.sum(axis=0), features.sum(axis=0, dtype=np.float64), rtol=1e-6)
    assert not merged.contexts[merged.contexts[:, 1] == 2][:, [0, 2]].any()


def test_frames_without_alignment_are_left_out():
    contexts = np.array([(1, 2, 3, 0), (-1, -1, -1, -1)])
    assert tree_stats.accumulate(np.ones((2, 2), dtype=np.float32), contexts).counts.tolist() == [1.0]
