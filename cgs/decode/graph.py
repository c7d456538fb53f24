"""The decoding graph of one vocabulary, made from the language directory and the aligning model."""

from __future__ import annotations

import resource
import time
from pathlib import Path

import kaldifst

from cgs.base.files import write_json
from cgs.gmm.model import AcousticGmm
from cgs.lang.graph import build_hclg
from cgs.lang.lang import load_lang
from cgs.lang.pieces import language_dir

GRAPH_FILE = "HCLG.fst"


def make_graph(lang_dir: Path, vocabulary: str, align_dir: Path, out: Path) -> None:
    """Compose H, C, L and G, and write HCLG.fst and graph.json: vocabulary, n_states, n_arcs, n_bytes, and what it took.

    `seconds` are processor seconds of the process, `peak_rss_bytes` its largest memory, from its start on: a graph is a job of its own.

    Args:
        lang_dir: what stage 2 made.
        vocabulary: which G, e.g. "train".
        align_dir: what stage 4 made; its tree and transition model give H and C.
        out: where to write.
    """
    gmm, lang_dir = AcousticGmm.load(align_dir), language_dir(lang_dir, vocabulary)
    graph: kaldifst.StdVectorFst = build_hclg(load_lang(lang_dir), lang_dir / f"G.{vocabulary}.fst", gmm.tree, gmm.transition_model)
    graph.write(str(out / GRAPH_FILE))
    n_arcs = sum(graph.num_arcs(state) for state in range(graph.num_states))
    sizes = {"n_states": graph.num_states, "n_arcs": n_arcs, "n_bytes": (out / GRAPH_FILE).stat().st_size}
    spent = {"seconds": time.process_time(), "peak_rss_bytes": 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss}
    write_json(out / "graph.json", {"vocabulary": vocabulary} | sizes | spent)
