"""Graphs of known transcripts, on which utterances are aligned."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import kaldi_hmm_gmm as khg
import kaldifst

from cgs.base.errors import TrainError
from cgs.lang.lang import Lang

TRANSITION_SCALE = 1.0
SELF_LOOP_SCALE = 0.1
"""Kaldi's scales of transition and loop probabilities in training and decoding."""


class TrainingGraphs:
    """Compiles transcripts into graphs over transition ids.

    Holds everything the compiler points to. Graphs are compiled without probabilities, so that one graph serves all
    passes that share a tree; `weighted` adds the probabilities of the pass.

    Args:
        lang: words, phones and L.
        tree: context dependency.
        transition_model: over that tree; its probabilities may change between the calls of `weighted`.
    """

    def __init__(self, lang: Lang, tree: khg.ContextDependency, transition_model: khg.TransitionModel) -> None:
        self.lang, self.tree, self.transition_model = lang, tree, transition_model
        self._lexicon = lang.lexicon_fst()
        self._options = khg.TrainingGraphCompilerOptions(transition_scale=0.0, self_loop_scale=0.0)
        self._compiled_with = transition_model  # the compiler points into it, even after `transition_model` is replaced
        self._compiler = khg.TrainingGraphCompiler(transition_model, tree, self._lexicon, lang.disambiguation_phones, self._options)

    def compile(self, words: Iterable[str], utterance: str = "") -> kaldifst.StdVectorFst:
        """Graph of a transcript, without transition probabilities.

        Raises: TrainError: an empty transcript.
        """
        words = list(words)
        fst = self._compiler.compile_graph_from_text(self.lang.word_ids(words)) if words else None
        if fst is None or fst.start < 0:
            raise TrainError(f"{utterance or 'transcript'}: no graph for {' '.join(words)!r}", "check the transcript")
        return fst

    def weighted(self, graph: kaldifst.StdVectorFst) -> kaldifst.StdVectorFst:
        """A copy of a graph with the present transition probabilities."""
        fst: Any = kaldifst.StdVectorFst(graph)
        khg.add_transition_probs(
            trans_model=self.transition_model,
            disambig_syms=[],
            transition_scale=TRANSITION_SCALE,
            self_loop_scale=SELF_LOOP_SCALE,
            fst=fst,
        )
        return fst
