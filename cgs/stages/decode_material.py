"""What the modules of stage 8 read: splits with their features, engines of a network, recognisers, and parts that a killed run finished."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment, network_unit, system_unit
from cgs.base.files import read_json, write_json
from cgs.base.log import LOG
from cgs.stages.decode_units import ADAPT_UNIT, SUBWORD

if TYPE_CHECKING:
    from cgs.decode.lattice_recogniser import LatticeRecogniser
    from cgs.decode.recogniser import Recogniser
    from cgs.decode.scores import Scores
    from cgs.score.evaluation import Split

PARTS = "parts"
"""What is finished of a unit that is still being made."""


def network_engines(exp: Experiment, task: str, name: str, seed: int) -> dict[str, tuple[tuple[str, str], Callable[[], Scores]]]:
    """{engine: ((feature kind, CMVN), a function that loads it)} of a network."""
    from cgs.decode.scores import NetworkScores

    network, packed = exp.root / network_unit(task, name, seed), exp.root / system_unit("7-pack", name, seed)
    features = read_json(network / "model.json")["features"]

    def loaded(engine: Any) -> Callable[[], Scores]:
        @functools.cache
        def load() -> Scores:
            scores = NetworkScores(engine, network, packed)
            return scores.log_likelihoods if task == "asr" else scores.posteriors

        return load

    return {engine: ((features["kind"], features["cmvn"]), loaded(engine)) for engine in ("float", "packed")}


def gmm_engine(exp: Experiment) -> tuple[tuple[str, str], Callable[[], Scores]]:
    from cgs.gmm.model import AcousticGmm

    return ("gmm", "speaker"), lambda: AcousticGmm.load(exp.root / "4-align").log_likelihoods


def recogniser_of(exp: Experiment, vocabulary: str, insertion_penalty: float, spelling_cost: float = 0.0) -> Recogniser:
    from cgs.decode.recogniser import Recogniser
    from cgs.lang.pieces import language_dir

    options, graph = exp.recipe.decode, exp.root / "8-decode" / "graph" / vocabulary
    lang, shift = language_dir(exp.root / "2-lang", vocabulary), exp.recipe.feats.frame_shift
    return Recogniser(lang, exp.root / "4-align", graph, options.beam, options.max_active, insertion_penalty, shift, spelling_cost)


def lattice_recogniser_of(exp: Experiment, network: bool, vocabulary: str) -> LatticeRecogniser | None:
    """The recogniser that makes lattices, at the middle one of the scales to try.

    Returns: None where the recipe asks for none, and for a vocabulary of pieces, whose lattices would hold pieces in place of words.
    """
    from cgs.decode.lattice_recogniser import LatticeRecogniser
    from cgs.decode.rescoring import RESCORING_BEAM
    from cgs.lang.arpa import read_arpa

    options, lang = exp.recipe.decode, exp.root / "2-lang"
    arpa, large = lang / f"G.{vocabulary}.arpa", lang / f"G.{vocabulary}.large.arpa"
    beam = options.lattice_beam or (RESCORING_BEAM if large.exists() else 0.0)
    if not beam or vocabulary == SUBWORD:
        return None
    scales = sorted(options.acoustic_scales if network else options.gmm_acoustic_scales)
    models = (read_arpa(arpa), read_arpa(large)) if large.exists() else None
    return LatticeRecogniser(recogniser_of(exp, vocabulary, 0.0), scales[(len(scales) - 1) // 2], beam, options.mbr, models)


def split_of(exp: Experiment, name: str, kind: str, cmvn: str) -> Split:
    """A split with the features of a kind: what stage 3 made, "fmllr" for a network, or "gmm" for the GMM."""
    from cgs.decode.rate import rate_weights
    from cgs.gmm.adapted import AdaptedFeatures, read_adapted
    from cgs.gmm.model import AcousticGmm
    from cgs.score.evaluation import read_split

    data, feats, align = (exp.root / stage for stage in ("1-data", "3-feats", "4-align"))
    if kind not in ("fmllr", "gmm"):
        return read_split(data, feats, name, kind, cmvn)
    if exp.recipe.align.model != "sat":
        return read_split(data, feats, name, "mfcc", "speaker", AdaptedFeatures(AcousticGmm.load(align), None, {}))
    adapt = read_adapted(align, feats, exp.root / ADAPT_UNIT, name, kind == "fmllr")
    told = read_json(exp.root / ADAPT_UNIT / "adapt.json")
    weights = rate_weights(told["phone_length"][name], told["usual_phone_length"], exp.recipe.decode.rate_exponent)
    return replace(read_split(data, feats, name, "mfcc", "speaker", adapt), weights=weights)


def test_splits(exp: Experiment) -> list[str]:
    """Splits to evaluate, "test" first."""
    splits = read_json(exp.root / "1-data" / "data.json")["splits"]
    return ["test", *sorted(name for name in splits if name.startswith("test_"))]


def known_words(exp: Experiment) -> frozenset[str]:
    """Words of the language-model text."""
    from cgs.data.text import read_sentences

    return frozenset(word for words in read_sentences(exp.root / "1-data" / "lm.txt") for word in words)


def kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The part that a killed run left finished, or a new one, kept for the next."""
    if path.exists():
        LOG.info("%s: kept from the run before", path.stem)
        return read_json(path)
    value = make()
    write_json(path, value)
    return value
