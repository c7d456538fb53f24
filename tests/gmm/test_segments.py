"""Phones and words read off alignments built by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import DataError
from cgs.gmm.segments import Segment, contexts, ctm_lines, frame_labels, phone_segments, word_segments
from cgs.gmm.train import roots
from cgs.gmm.transitions import counts_by_phone, make_transition_model, transition_table
from cgs.gmm.tree import monophone_tree
from cgs.gmm.tree_format import context_dependency, tree_bytes
from cgs.lang.lang import load_lang

SIL = 1


@pytest.fixture
def table(lang_dir: Path):
    lang = load_lang(lang_dir)
    topology = lang.topology()
    return transition_table(make_transition_model(context_dependency(tree_bytes(monophone_tree(roots(lang)))), topology))


def visit(table, phone: int, state: int, loops: int) -> list[int]:
    """Transition-ids of one state: the arc that leaves it, then its loops."""
    mine = (table.phone == phone) & (table.pdf_class == state)
    forward, loop = np.flatnonzero(mine & ~table.self_loop)[0], np.flatnonzero(mine & table.self_loop)[0]
    return [int(forward)] + [int(loop)] * loops


def test_phones_end_with_the_loops_of_their_last_state(table):
    said = [visit(table, phone, state, loops) for phone, loops in ((3, 2), (3, 0), (4, 1)) for state in range(3)]
    alignment = np.array(sum(said, []))
    found = phone_segments(alignment, table)
    assert found == [Segment(3, 0, 9), Segment(3, 9, 12), Segment(4, 12, 18)]
    rows = contexts(found, alignment, table)
    assert rows[0].tolist() == [0, 3, 3, 0]
    assert rows[9].tolist() == [3, 3, 4, 0]
    assert rows[-1].tolist() == [3, 4, 0, 2]


def test_words_leave_silence_out_and_choose_the_pronunciation_that_fits():
    phones = [Segment(SIL, 0, 4), Segment(3, 4, 8), Segment(4, 8, 12), Segment(SIL, 12, 15), Segment(5, 15, 20), Segment(3, 20, 25)]
    found = word_segments(phones, [10, 11], [[(3,), (3, 4)], [(4, 5, 3), (5, 3)]], SIL)
    assert found == [Segment(10, 4, 12), Segment(11, 15, 25)]
    assert frame_labels(found, 27).tolist() == [0] * 4 + [10] * 8 + [0] * 3 + [11] * 10 + [0] * 2


def test_silence_word_gives_no_segment():
    assert word_segments([Segment(SIL, 0, 9)], [7], [[(SIL,)]], SIL) == []


def test_phones_of_other_words_are_an_error():
    with pytest.raises(DataError, match="do not spell"):
        word_segments([Segment(3, 0, 5)], [10], [[(4,)]], SIL)


def test_ctm_is_in_seconds():
    assert ctm_lines("u1", [Segment(2, 10, 35)], {2: "two"}, 0.01) == ["u1 1 0.100 0.250 two\n"]


def test_counts_of_another_tree_are_pooled_by_phone(table):
    counts = np.arange(len(table.pdf), dtype=np.float64)
    counts[0] = 0
    np.testing.assert_allclose(counts_by_phone(table, counts, table), counts)
