"""A recogniser of one experiment: its graph, transition model and words, ready to decode utterances."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from cgs.data.corpus import SILENCE_WORD
from cgs.decode.graph import GRAPH_FILE
from cgs.decode.search import GraphSearch, Hypothesis, with_insertion_penalty
from cgs.gmm.model import AcousticGmm
from cgs.gmm.segments import Segment, ctm_lines, phone_segments, word_segments
from cgs.lang.lang import load_lang, read_fst
from cgs.lang.pieces import goes_on, has_pieces, is_piece, join


class Recogniser:
    """Graph search with the tables that tell words and times.

    Args:
        lang_dir: what stage 2 made.
        align_dir: what stage 4 made; only the tree and the transitions are used.
        graph_dir: a decoding graph over the two.
        beam, max_active: of the search.
        insertion_penalty: cost of a word other than silence.
        frame_shift: s.
        spelling_cost: of a word spelled in pieces, beside that penalty.
    """

    def __init__(
        self,
        lang_dir: Path,
        align_dir: Path,
        graph_dir: Path,
        beam: float,
        max_active: int,
        insertion_penalty: float,
        frame_shift: float,
        spelling_cost: float = 0.0,
    ) -> None:
        lang, transitions = load_lang(lang_dir), AcousticGmm.load(align_dir).transitions
        self._words, self._silence_phone, self._transitions, self.frame_shift = lang.words, lang.silence_phone, transitions, frame_shift
        self._word_names = lang.word_names
        self._pronunciations = {word: [tuple(lang.phones[p] for p in way) for way in ways] for word, ways in lang.lexicon.items()}
        graph = read_fst(graph_dir / GRAPH_FILE)
        self._spells = has_pieces(lang_dir)
        further = {unit for unit in lang.words if goes_on(unit)} if self._spells else set()
        if insertion_penalty:
            graph = with_insertion_penalty(graph, lang.words, insertion_penalty, free={SILENCE_WORD, *further})
        if spelling_cost and self._spells:
            graph = with_insertion_penalty(graph, lang.words, spelling_cost, free=further | {unit for unit in lang.words if not is_piece(unit)})
        self.search = GraphSearch(graph, transitions.pdf, lang.words, beam, max_active)

    def decode(self, scores: np.ndarray) -> Hypothesis:
        """Best words for (T, P) float32 scaled log-likelihoods, pieces joined to words; see `GraphSearch.decode`."""
        found = self.search.decode(scores)
        return replace(found, words=join(found.words), units=found.words) if self._spells else found

    @property
    def silence_words(self) -> frozenset[int]:
        """Word ids that stand for no speech."""
        return frozenset({self._words[SILENCE_WORD]})

    @property
    def word_names(self) -> dict[int, str]:
        """{word id: word}."""
        return self._word_names

    def ctm(self, utterance: str, hypothesis: Hypothesis, confidences: Sequence[float] | None = None, rate: float = 1.0) -> list[str]:
        """CTM lines of a complete hypothesis, with the confidence of each word other than silence where it is known.

        `rate` is the utterance's, see `cgs.feats.rate`. A partial hypothesis has none, since its last word may lack phones.
        """
        if not hypothesis.complete:
            return []
        phones = phone_segments(np.array(hypothesis.transition_ids), self._transitions)
        said = hypothesis.units if self._spells else hypothesis.words
        ways = [self._pronunciations[unit] for unit in said]
        segments = word_segments(phones, [self._words[unit] for unit in said], ways, self._silence_phone)
        shift = self.frame_shift / rate
        if self._spells:
            segments, names = _joined(segments, self._word_names)
            return ctm_lines(utterance, segments, names, shift)
        return ctm_lines(utterance, segments, self._word_names, shift, confidences)


def _joined(segments: Sequence[Segment], names: Mapping[int, str]) -> tuple[list[Segment], dict[int, str]]:
    """Segments of words from those of their pieces, labelled 0, 1, ..., and the word of each label."""
    spans: list[Segment] = []
    for segment in segments:
        if goes_on(names[segment.label]) and spans:
            spans[-1] = replace(spans[-1], end=segment.end)
        else:
            spans.append(replace(segment, label=len(spans)))
    return spans, dict(enumerate(join(names[segment.label] for segment in segments)))
