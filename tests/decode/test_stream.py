"""Frames in pieces: the scores and the words are those of the whole, pauses end utterances, long ones are cut between words."""

from __future__ import annotations

from pathlib import Path

import kaldifst
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ShapeError
from cgs.decode.search import GraphSearch
from cgs.decode.stream import ContextScores, StreamSearch
from cgs.decode.timing import WordTimes
from cgs.decode.transcript import Utterance
from cgs.feats.splice import splice
from cgs.gmm.transitions import TransitionTable
from cgs.lang.lang import Lang

WORDS = {"<eps>": 0, "<sil>": 1, "go": 2, "up": 3, "gown": 4, "<unk>": 5, "#0": 6}
PHONES = {"<eps>": 0, "SIL": 1, "G": 2, "O": 3, "U": 4, "P": 5, "N": 6, "SPN": 7}
LEXICON = {"<sil>": [("SIL",)], "go": [("G", "O")], "up": [("U", "P")], "gown": [("G", "O", "N")], "<unk>": [("SPN",)]}
N_PDFS = 6
IDS = np.arange(2 * N_PDFS + 1)
TABLE = TransitionTable(
    pdf=np.maximum(IDS - 1, 0) // 2, phone=np.maximum(IDS - 1, 0) // 2 + 1, pdf_class=0 * IDS, arc=1 - IDS % 2, self_loop=IDS % 2 == 0, final=IDS % 2 == 1
)
"""Phone p + 1 is pdf p alone: transition-id 2 p + 1 enters it, 2 p + 2 stays in it."""
TIMES = WordTimes(Lang(Path(), WORDS, PHONES, {word: list(ways) for word, ways in LEXICON.items()}, []), TABLE, 0.01)


def search() -> GraphSearch:
    """Any words in any order, with silence between them."""
    graph = kaldifst.StdVectorFst()
    graph.start = graph.add_state()
    graph.set_final(0, 0.0)
    for word, ((*phones,),) in LEXICON.items():
        state = 0
        for index, phone in enumerate(phones):
            pdf, following = PHONES[phone] - 1, graph.add_state()
            if pdf >= N_PDFS:
                break
            graph.add_arc(state, kaldifst.StdArc(2 * pdf + 1, 0 if index else WORDS[word], 0.5 * (not index), following))
            graph.add_arc(following, kaldifst.StdArc(2 * pdf + 2, 0, 0.0, following))
            state = following
        if state:
            graph.add_arc(state, kaldifst.StdArc(0, 0, 0.0, 0))
    return GraphSearch(graph, TABLE.pdf, WORDS, 30.0, 1000)


def frames(*said: tuple[str, int]) -> list[int]:
    """Pdfs of words, "" for silence, each phone lasting so many frames."""
    return [PHONES[phone] - 1 for word, length in said for phone in LEXICON[word or "<sil>"][0] for _ in range(length)]


def planted(pdfs: list[int], noise: float = 0.0, seed: int = 0) -> np.ndarray:
    scores = np.random.default_rng(seed).normal(0, noise, (len(pdfs), N_PDFS)).astype(np.float32)
    scores[np.arange(len(pdfs)), pdfs] += 5
    return scores


def heard(scores: np.ndarray, cuts: list[int], pause: int = 10_000, longest: int = 100_000) -> list[Utterance]:
    stream = StreamSearch(search(), TIMES, pause, longest)
    pieces = np.split(scores, sorted(min(cut, len(scores)) for cut in cuts))
    return [utterance for piece in pieces for utterance in stream.accept(piece)] + stream.finish()


@given(st.lists(st.sampled_from(list("012345")), min_size=1, max_size=12), st.lists(st.integers(0, 150), max_size=6), st.integers(0, 99))
@settings(deadline=None, max_examples=40)
def test_words_in_pieces_are_those_of_the_search_as_a_whole(pdfs: list[str], cuts: list[int], seed: int) -> None:
    """Any noise, also frames that end in the middle of a word."""
    scores = planted([int(pdf) for pdf in pdfs for _ in range(11)], noise=3.0, seed=seed)
    whole = [word for word in search().decode(scores).words if word != "<sil>"]
    assert [word.word for utterance in heard(scores, cuts) for word in utterance.words] == whole


@given(st.lists(st.integers(0, 400), max_size=6), st.integers(10, 60), st.integers(100, 300), st.integers(0, 9))
@settings(deadline=None, max_examples=25)
def test_utterances_do_not_depend_on_the_pieces(cuts: list[int], pause: int, longest: int, seed: int) -> None:
    said = [(word, 7) for _ in range(4) for word in ("", "go", "up", "", "gown", "")]
    scores = planted(frames(*said), noise=2.5, seed=seed)
    assert heard(scores, cuts, pause, longest) == heard(scores, [], pause, longest)


def test_a_pause_ends_an_utterance_and_times_go_on() -> None:
    scores = planted(frames(("", 20), ("go", 6), ("up", 6), ("", 60), ("gown", 5), ("", 20)))
    first, second = heard(scores, [33, 90], pause=40)
    told = [(w.word, round(w.start, 6), round(w.end, 6)) for w in (*first.words, *second.words)]
    assert told == [("go", 0.20, 0.32), ("up", 0.32, 0.44), ("gown", 1.04, 1.19)] and len(first.words) == 2
    (both,) = heard(scores, [33, 90], pause=80)
    assert both.text == "go up gown"


def test_utterance_is_given_out_as_soon_as_the_pause_is_long_enough() -> None:
    scores = planted(frames(("", 20), ("go", 6), ("", 200)))
    stream, at = StreamSearch(search(), TIMES, 40, 10_000), []
    for frame in range(len(scores)):
        at += [frame + 1] * len(stream.accept(scores[frame : frame + 1]))
    assert at == [80]  # the word ends at 32, the pause is long enough at 72, and the search looks every 10 frames
    assert stream.finish() == []


@pytest.mark.parametrize("pause", [0, 4])
def test_speech_without_a_pause_is_cut_between_words(pause: int) -> None:
    words = ["go", "up", "gown", "up"] * 10
    said = [part for word in words for part in (("", pause), (word, 7)) if part[1]]
    found = heard(planted(frames(*said)), [50, 51, 300], longest=100)
    assert [word.word for utterance in found for word in utterance.words] == words
    assert len(found) > 5 and max(u.end - u.start for u in found) <= 1.0


def test_minutes_of_silence_are_no_words_and_partial_words_are_told() -> None:
    assert heard(planted([0] * 3000), [7, 1500], longest=200) == []
    stream = StreamSearch(search(), TIMES, 40, 1000)
    stream.accept(planted(frames(("", 20), ("go", 6), ("up", 6))))
    assert stream.partial in (("go",), ("go", "up"))
    assert StreamSearch(search(), TIMES, 40, 1000).finish() == []


def test_misfits_are_refused() -> None:
    stream = StreamSearch(search(), TIMES, 10, 100)
    with pytest.raises(ShapeError, match=r"scores \(3, 5\) for a graph of 6 pdfs"):
        stream.accept(np.zeros((3, 5), np.float32))
    with pytest.raises(ShapeError, match="1 scores are not finite"):
        stream.accept(np.array([[0, 0, 0, 0, 0, np.nan]], np.float32))


@given(st.integers(1, 40), st.integers(0, 6), st.integers(0, 6), st.lists(st.integers(0, 40), max_size=8))
@settings(deadline=None, max_examples=80)
def test_context_scores_are_those_of_the_whole(n_frames: int, left: int, right: int, cuts: list[int]) -> None:
    """Scores that are a product with spliced frames: every neighbour counts, and the edges are repeated at the ends only."""
    rng = np.random.default_rng(n_frames)
    features = rng.integers(-9, 9, (n_frames, 3)).astype(np.float32)
    weight = rng.integers(-9, 9, (3 * (left + 1 + right), 4)).astype(np.float32)
    scorer = ContextScores(lambda part: splice(part, left, right) @ weight, left, right)
    pieces = [scorer.accept(piece) for piece in np.split(features, sorted(min(cut, n_frames) for cut in cuts))] + [scorer.finish()]
    np.testing.assert_array_equal(np.concatenate([piece for piece in pieces if len(piece)]), splice(features, left, right) @ weight)


def test_context_scores_wait_for_no_more_than_their_context() -> None:
    scorer = ContextScores(lambda part: part, 2, 3)
    told = [len(scorer.accept(np.ones((1, 2), np.float32))) for _ in range(6)]
    assert told == [0, 0, 0, 1, 1, 1] and len(scorer.finish()) == 3
    assert len(ContextScores(lambda part: part, 2, 3).finish()) == 0


def test_words_cut_short_last_to_the_end() -> None:
    def path(*phones: str) -> list[int]:
        return [2 * (PHONES[phone] - 1) + (1 if i == 0 else 2) for phone in phones for i in range(4)]

    def timed(words: list[str], *phones: str) -> list[tuple[str, int, int]]:
        return [(list(WORDS)[s.label], s.start, s.end) for s in TIMES.segments(words, path(*phones))]

    assert timed(["<sil>", "go", "up"], "SIL", "G", "O", "U", "P", "SIL") == [("go", 4, 12), ("up", 12, 20)]
    assert timed(["go", "gown"], "G", "O", "SIL", "G", "O") == [("go", 0, 8), ("gown", 12, 20)]  # its last phone is missing
    assert timed(["go"], "G", "O", "SIL", "U") == [("go", 0, 8)]  # the next word is not told yet
    assert timed(["go"], "P") == [("go", 0, 4)]
    assert timed([], "SIL") == [] and TIMES.segments([], []) == [] and timed(["<sil>"], "SIL") == []
