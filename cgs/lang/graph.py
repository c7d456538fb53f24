"""HCLG: from transition ids to words in one graph."""

from __future__ import annotations

from pathlib import Path

import kaldi_hmm_gmm as khg
import kaldifst

from cgs.base.errors import ToolError
from cgs.base.log import LOG
from cgs.lang.lang import Lang, read_fst
from cgs.lang.training_graph import SELF_LOOP_SCALE, TRANSITION_SCALE


def build_hclg(
    lang: Lang,
    g_path: Path,
    tree: khg.ContextDependency,
    transition_model: khg.TransitionModel,
    transition_scale: float = TRANSITION_SCALE,
    self_loop_scale: float = SELF_LOOP_SCALE,
) -> kaldifst.StdVectorFst:
    """Compose grammar, lexicon, context dependency and HMMs.

    Args:
        lang: words, phones and L.
        g_path: G.fst over the same words.
        tree: context dependency, of monophones or triphones.
        transition_model: over that tree.
        transition_scale: weight of the probabilities of leaving a state.
        self_loop_scale: weight of the probabilities of staying.
    Returns: transition ids in, words out; epsilons remain. Write it with `cgs.lang.lang.write_fst`.
    Raises: ToolError: an empty graph, e.g. where no word of G can be pronounced.
    Source: Mohri, Pereira and Riley 2008. Differs: the order of operations is Kaldi's, in the log semiring, less its local removal of epsilons.
    """
    lg = compose(lang.lexicon_disambig_fst(), read_fst(g_path), "LG")
    optimise(lg)
    kaldifst.arcsort(lg, sort_type="ilabel")
    clg, labels = kaldifst.compose_context(lang.disambiguation_phones, tree.context_width, tree.central_position, lg)
    kaldifst.arcsort(clg, sort_type="ilabel")
    config = khg.HTransducerConfig(transition_scale=transition_scale)
    hmms, disambiguation = khg.get_h_transducer(labels, tree, transition_model, config)
    kaldifst.arcsort(hmms, sort_type="olabel")
    graph = compose(hmms, clg, "HCLG")
    kaldifst.determinize_star(graph, use_log=True)
    graph = without_inputs(graph, disambiguation, transition_model.num_transition_ids)
    kaldifst.minimize_encoded(graph)
    hclg = khg.add_self_loops(self_loop_scale=self_loop_scale, disambig_syms=[], reorder=True, trans_model=transition_model, ifst=graph)
    LOG.info("graph of %s: %d states, %d arcs", g_path.name, hclg.num_states, count_arcs(hclg))
    return hclg


def compose(left: kaldifst.StdVectorFst, right: kaldifst.StdVectorFst, name: str) -> kaldifst.StdVectorFst:
    """Compose two FSTs, the left one sorted by output or the right one by input. Raises: ToolError: nothing is left."""
    composed = kaldifst.StdVectorFst(kaldifst.compose(left, right))
    if composed.start < 0:
        raise ToolError(f"{name} is empty", "check that the words of the language model have pronunciations")
    return composed


def optimise(fst: kaldifst.StdVectorFst) -> None:
    """Remove epsilons, determinize in the log semiring and minimize, in place."""
    kaldifst.determinize_star(fst, use_log=True)
    kaldifst.minimize_encoded(fst)


def without_inputs(fst: kaldifst.StdVectorFst, labels: list[int], n_labels: int) -> kaldifst.StdVectorFst:
    """The FST with some input labels read as epsilon.

    Args:
        fst: any.
        labels: input labels to remove.
        n_labels: all other input labels lie in 1 to n_labels.
    Returns: a new FST; the work is one composition with a one-state map, since there is no other fast way from Python.
    """
    relabel = kaldifst.StdVectorFst()
    relabel.start = relabel.add_state()
    relabel.set_final(0, 0.0)
    removed = set(labels)
    for label in sorted({*range(1, n_labels + 1), *removed}):
        relabel.add_arc(0, kaldifst.StdArc(0 if label in removed else label, label, 0.0, 0))
    kaldifst.arcsort(relabel, sort_type="olabel")
    return compose(relabel, fst, "graph")


def count_arcs(fst: kaldifst.StdVectorFst) -> int:
    """Arcs of an FST."""
    return sum(fst.num_arcs(state) for state in kaldifst.StateIterator(fst))
