"""Search of a decoding graph: frame scores in, the best word sequence out.

Owns the only contact with the decoder library. The library keeps nothing alive and checks no bounds, so this module
holds every reference and checks every width."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import kaldi_decoder
import kaldifst
import numpy as np

from cgs.base.errors import ShapeError
from cgs.decode.graph_arrays import GraphArrays, graph_arrays

MIN_ACTIVE = 200
"""States kept in every frame, however far behind the best."""


@dataclass(frozen=True)
class Hypothesis:
    """What a search found.

    Args:
        words: recognised words, silence included where the graph has a word for it.
        transition_ids: one for each of the T frames; empty where no path survived.
        graph_cost, acoustic_cost: of the best path, natural logarithms, scaled as the scores were.
        complete: False where no path reached a final state; the words are then those of the best partial path.
        units: what the graph put out, where words are spelled in pieces.
    """

    words: tuple[str, ...]
    transition_ids: tuple[int, ...]
    graph_cost: float
    acoustic_cost: float
    complete: bool
    units: tuple[str, ...] = ()

    @property
    def cost(self) -> float:
        """Total cost of the path."""
        return self.graph_cost + self.acoustic_cost


class GraphSearch:
    """A Viterbi beam search over one decoding graph.

    Args:
        graph: HCLG, transition-ids in, word ids out.
        pdf_of_transition: (n_transition_ids + 1,) int, pdf of each transition-id; entry 0 is not used.
        words: {word: id}, the symbol table of the graph's outputs.
        beam: paths that are worse than the best by more than this are dropped.
        max_active: states a frame, at most; at least 2 are kept.
    Raises: ShapeError: the graph holds a transition-id or a word that the tables do not.
    """

    def __init__(self, graph: kaldifst.StdVectorFst, pdf_of_transition: np.ndarray, words: dict[str, int], beam: float, max_active: int) -> None:
        self.graph = kaldifst.StdConstFst(graph)
        self.pdf = np.asarray(pdf_of_transition, dtype=np.int64)[1:]
        self.word_of = {index: word for word, index in words.items()}
        most = max(2, max_active)
        self.options = kaldi_decoder.FasterDecoderOptions(beam=beam, max_active=most, min_active=min(MIN_ACTIVE, most - 1))
        _check_labels(graph_arrays(self.graph), len(self.pdf), self.word_of)

    def decode(self, scores: np.ndarray) -> Hypothesis:
        """Find the best path of one utterance.

        Args:
            scores: (T, P) float32, scaled log-likelihood of each pdf.
        Raises: ShapeError: no frame, fewer pdfs than the graph uses, or a score that is not a number.
        Differs: FasterDecoder keeps one best path and no lattice; it finds the path that LatticeFasterDecoder finds.
        """
        self.check(scores)
        decodable = kaldi_decoder.DecodableCtc(np.ascontiguousarray(scores[:, self.pdf], dtype=np.float32))
        decoder = kaldi_decoder.FasterDecoder(self.graph, self.options)
        decoder.decode(decodable)
        complete = decoder.reached_final()
        found, path = decoder.get_best_path(use_final_probs=True)
        if not found:
            return Hypothesis((), (), 0.0, 0.0, False)
        _, transition_ids, word_ids, weight = kaldifst.get_linear_symbol_sequence(path)
        return Hypothesis(tuple(self.word_of[i] for i in word_ids), tuple(transition_ids), weight.value1, weight.value2, complete)

    def check(self, scores: np.ndarray) -> None:
        """Raise ShapeError where `decode` cannot take these scores."""
        if scores.ndim != 2 or not len(scores) or scores.shape[1] <= self.pdf.max():
            raise ShapeError(f"scores {scores.shape} for a graph of {self.pdf.max() + 1} pdfs", "use the network and the graph of one experiment")
        if not np.isfinite(scores).all():
            raise ShapeError(f"{np.count_nonzero(~np.isfinite(scores))} scores are not finite", "look for NaN in the features or the network")


def with_insertion_penalty(graph: kaldifst.StdVectorFst, words: dict[str, int], penalty: float, free: Collection[str] = ()) -> kaldifst.StdVectorFst:
    """A copy of a graph in which every word costs `penalty` more.

    Args:
        graph: HCLG.
        words: {word: id}, every word that the graph may put out.
        penalty: cost added to a word; positive for fewer insertions, negative for fewer deletions.
        free: words that cost no more than before, e.g. silence.
    """
    loop = kaldifst.StdVectorFst()
    loop.start = loop.add_state()
    loop.set_final(loop.start, 0.0)
    for word, index in sorted(words.items(), key=lambda item: item[1]):
        if index:
            loop.add_arc(loop.start, kaldifst.StdArc(index, index, 0.0 if word in free else penalty, loop.start))
    kaldifst.arcsort(loop, sort_type="ilabel")
    return kaldifst.compose(graph, loop)


def _check_labels(graph: GraphArrays, n_transition_ids: int, word_of: dict[int, str]) -> None:
    strange = set(np.unique(graph.olabel).tolist()) - word_of.keys() - {0}
    highest = int(graph.ilabel.max(initial=0))
    if highest > n_transition_ids or strange:
        raise ShapeError(
            f"the graph has transition-id {highest} of {n_transition_ids} and {len(strange)} unknown words",
            "make the graph again with the model's own transition-ids and word list",
        )
