"""Alignment with a trained network: the best path of a known transcript in the network's scores, for other networks to learn from."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from cgs.decode.search import GraphSearch
from cgs.gmm.align import Alignment, read_alignment
from cgs.gmm.chunk import ACOUSTIC_SCALE
from cgs.gmm.model import AcousticGmm
from cgs.lang.lang import load_lang
from cgs.lang.training_graph import TrainingGraphs

MAX_ACTIVE = 1_000_000
"""States a frame: more than the graph of a transcript has."""


class Realigner:
    """Aligns transcripts by frame scores, over the tree and the transitions of the GMM.

    Args:
        lang_dir, align_dir: what stages 2 and 4 made.
        beam: of the search.
        retry_beam: of the second try, where the first found no path to the transcript's end.
    """

    def __init__(self, lang_dir: Path, align_dir: Path, beam: float, retry_beam: float) -> None:
        self.lang, self.model, self.beams = load_lang(lang_dir), AcousticGmm.load(align_dir), (beam, retry_beam)
        self._graphs = TrainingGraphs(self.lang, self.model.tree, self.model.transition_model)

    def align(self, utterance: str, words: Sequence[str], log_likelihoods: np.ndarray) -> Alignment | None:
        """The alignment of one utterance, or None where neither beam finds a path.

        Args:
            utterance: its name.
            words: the transcript.
            log_likelihoods: (T, P) float32, not scaled.
        Raises: TrainError: an empty transcript. ShapeError: as `GraphSearch.decode`.
        """
        graph = self._graphs.weighted(self._graphs.compile(words, utterance))
        for beam in self.beams:
            search = GraphSearch(graph, self.model.transitions.pdf, self.lang.words, beam, MAX_ACTIVE)
            found = search.decode(log_likelihoods * np.float32(ACOUSTIC_SCALE))
            if found.complete:
                return read_alignment(utterance, np.array(found.transition_ids, dtype=np.int32), words, self.model, self.lang)
        return None
