"""Stage 8's recognition: weights chosen on dev, then every engine, split and vocabulary of one acoustic model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_text
from cgs.base.log import LOG
from cgs.base.units import percent
from cgs.stages.decode_material import (
    PARTS,
    gmm_engine,
    kept,
    known_words,
    lattice_recogniser_of,
    network_engines,
    recogniser_of,
    split_of,
    test_splits,
)
from cgs.stages.decode_units import ADAPT_UNIT, SUBWORD, vocabularies_of

if TYPE_CHECKING:
    from cgs.decode.lattice_recogniser import LatticeRecogniser
    from cgs.decode.recogniser import Recogniser
    from cgs.decode.scores import Scores
    from cgs.score.evaluation import Split
    from cgs.score.recognition import Recognised
    from cgs.score.tuning import Tuned

    Decoded = tuple[list[Recognised], dict[str, list[str]], dict[str, float], dict[str, Any]]
    """What was recognised, {suffix: lines of a file}, processor seconds, and {"lattice": facts} where there are lattices."""


def recognise(exp: Experiment, out: Path, name: str, seed: int) -> dict[str, Any]:
    """Tune on dev, then every engine, split and vocabulary of one acoustic model."""
    from cgs.score.tuning import Tuned

    engines = network_engines(exp, "asr", name, seed) if name else {"gmm": gmm_engine(exp)}
    first_engine, (features, first_scores) = next(iter(engines.items()))
    vocabularies = vocabularies_of(exp, name, seed)
    recogniser = functools.lru_cache(maxsize=1)(functools.partial(recogniser_of, exp))
    lattices = functools.lru_cache(maxsize=1)(functools.partial(lattice_recogniser_of, exp, bool(name)))

    def tune() -> dict[str, Any]:
        chosen = _tune(exp, features, first_scores(), functools.partial(recogniser, vocabularies[0]), lattices(vocabularies[0]), bool(name))
        return chosen.to_json()

    facts = kept(out / PARTS / "tuned.json", tune)
    tuned = Tuned(**facts)
    LOG.info("acoustic scale %g, insertion penalty %g", tuned.acoustic_scale, tuned.insertion_penalty)
    entries: dict[str, dict[str, Any]] = {engine: {} for engine in engines}
    for vocabulary in vocabularies:
        searcher = functools.partial(recogniser, vocabulary)
        if vocabulary == SUBWORD:
            facts |= kept(out / PARTS / "spelling.json", _spelling_cost(exp, features, first_scores, searcher, tuned))
            searcher = functools.partial(searcher, spelling_cost=facts["spelling_cost"])
        decoded = functools.partial(_decoded, searcher, functools.partial(lattices, vocabulary), tuned, exp.recipe.decode.n_best)
        for split in test_splits(exp):
            condition = split if vocabulary == vocabularies[0] else f"{split}/{vocabulary}"
            for engine, (kind, scores) in engines.items():
                stem = f"{engine}.{condition.replace('/', '.')}"
                make = _recognition(exp, out, stem, split_of(exp, split, *kind), scores, decoded)
                entries[engine][condition] = kept(out / PARTS / f"{stem}.json", make)
    return {"engines": entries, "tuned": facts | {"engine": first_engine, "split": "dev", "vocabulary": vocabularies[0]}}


def _tune(
    exp: Experiment,
    features: tuple[str, str],
    scores: Scores,
    recogniser: Callable[[float], Recogniser],
    lattices: LatticeRecogniser | None,
    network: bool,
) -> Tuned:
    from cgs.score.evaluation import search_error_rates
    from cgs.score.lattices import lattice_error_rates
    from cgs.score.tuning import choose_weights

    options = exp.recipe.decode
    dev = split_of(exp, "dev", *features).sampled(options.max_dev_utterances)
    rates = lattice_error_rates(dev, scores, lattices) if lattices else search_error_rates(dev, scores, recogniser)
    tuned = choose_weights(options.acoustic_scales if network else options.gmm_acoustic_scales, options.insertion_penalties, rates)
    for weights, rate in tuned.tried.items():
        LOG.info("dev: scale and penalty %s: WER %s %%", weights, percent(rate))
    return tuned


def _spelling_cost(
    exp: Experiment, features: tuple[str, str], scores: Callable[[], Scores], recogniser: Callable[..., Recogniser], tuned: Tuned
) -> Callable[[], dict[str, Any]]:
    """What a word spelled in pieces costs more, chosen by WER on dev at the weights chosen before."""

    def make() -> dict[str, Any]:
        from cgs.score.evaluation import error_rates
        from cgs.score.tuning import choose_value

        options = exp.recipe.decode
        dev = split_of(exp, "dev", *features).sampled(options.max_dev_utterances)

        def rate(cost: float) -> float:
            searcher = recogniser(tuned.insertion_penalty, spelling_cost=cost)
            return error_rates(dev, scores(), searcher, [tuned.acoustic_scale])[tuned.acoustic_scale]

        cost, tried = choose_value(options.spelling_costs, rate)
        LOG.info("cost of a spelled word %g; WER on dev by cost: %s", cost, tried)
        return {"spelling_cost": cost, "spelling_tried": tried}

    return make


def _recognition(
    exp: Experiment, out: Path, stem: str, split: Split, scores: Callable[[], Scores], decoded: Callable[[Split, Scores], Decoded]
) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        from cgs.score.evaluation import feature_rtf, real_time_factors
        from cgs.score.recognition import IntervalOptions, score_recognition, write_recognition

        recognised, files, spent, more = decoded(split, scores())
        write_recognition(out, stem, recognised)
        for suffix, lines in files.items():
            write_text(out / f"{stem}.{suffix}", "".join(lines))
        entry = score_recognition(recognised, IntervalOptions.of(exp.recipe), known_words(exp))
        LOG.info("%s: WER %s %%, %d of %d utterances without a complete path", stem, percent(entry["wer"]), entry["n_partial"], entry["n_utterances"])
        features = feature_rtf(split, exp.recipe.feats, exp.recipe.data.sample_rate, exp.recipe.data.resample)
        return entry | more | real_time_factors(spent | _adaptation_seconds(exp, split), split.total_seconds, features)

    return make


def _decoded(
    recogniser: Callable[[float], Recogniser], lattices: Callable[[], LatticeRecogniser | None], tuned: Tuned, n_best: int, split: Split, scores: Scores
) -> Decoded:
    """Decode a split with the weights chosen, in lattices where the recipe asks for them."""
    from cgs.score.evaluation import recognise
    from cgs.score.lattices import recognise_lattices

    in_lattices = lattices()
    if in_lattices:
        results = recognise_lattices(split, scores, in_lattices, tuned.acoustic_scale, tuned.insertion_penalty, n_best)
        files = {"ctm": results.ctm} | ({"nbest": results.n_best} if n_best else {})
        return results.recognised, files, results.spent, {"lattice": results.facts(in_lattices.beam, in_lattices.search_scale)}
    plain = recogniser(tuned.insertion_penalty)
    recognised, hypotheses, spent = recognise(split, scores, plain, tuned.acoustic_scale)
    ctm = [line for name, found in hypotheses.items() for line in plain.ctm(name, found, rate=split.rates.get(name, 1.0))]
    return recognised, {"ctm": ctm}, spent, {}


def _adaptation_seconds(exp: Experiment, split: Split) -> dict[str, float]:
    """{"adaptation": processor seconds} of a split whose features are adapted, else nothing."""
    from cgs.gmm.adapted import AdaptedFeatures

    if not isinstance(split.adapt, AdaptedFeatures) or split.adapt.fmllr is None:
        return {}
    return {"adaptation": read_json(exp.root / ADAPT_UNIT / "adapt.json")["processor_seconds"][split.name]}
