"""Stage 8: decoding graphs, then every network and the GMM over the test splits, by float and packed engines.

Units: 8-decode/graph/<vocabulary>, 8-decode/adapt (fMLLR of the dev and test speakers, where the aligning model is
speaker-adapted), 8-decode/gmm and 8-decode/<system>/seed<k>. The first vocabulary is decoded for
every seed, further ones for a system's first seed. Weights of the search are chosen on dev with the float network and
the first vocabulary, and serve the packed engine and the other vocabularies too, so that only the model differs.

result.json: {"task", "engines": {engine: {condition: entry}}, "tuned"}; engines are "float" and "packed", or "gmm"; a
condition is a split, or "<split>/<vocabulary>" after the first vocabulary. Entries: see `cgs.score.recognition` and
`cgs.score.detection`, with rtf beside."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment, network_unit, system_unit
from cgs.base.files import read_json, write_json, write_text
from cgs.base.jobs import run_jobs
from cgs.base.log import LOG
from cgs.base.unit import Unit
from cgs.base.units import percent

if TYPE_CHECKING:
    from cgs.decode.adaptation import Adapted
    from cgs.decode.recogniser import Recogniser
    from cgs.decode.scores import Scores
    from cgs.score.evaluation import Split
    from cgs.score.recognition import IntervalOptions
    from cgs.score.tuning import Tuned

TITLE = "decoding: WER, SER and keyword AUC of float and packed models"
GMM_UNIT, ADAPT_UNIT = "8-decode/gmm", "8-decode/adapt"
ADAPT_PARTS = 8
"""Groups of speakers that a split is adapted to in."""
PARTS = "parts"
"""What is finished of a unit that is still being made."""


def units(exp: Experiment) -> list[Unit]:
    """Every unit of the stage: graphs, the GMM, then the networks."""
    made = [_graph_unit(exp, vocabulary) for vocabulary in exp.recipe.lang.vocabularies if exp.recipe.has_task("asr")]
    if _adapts(exp):
        made.append(_adapt_unit(exp))
    if _decodes_gmm(exp):
        made.append(_gmm_unit(exp))
    return made + [_network_unit(exp, name, seed) for name, _, seed in exp.systems()]


def run(exp: Experiment) -> None:
    """Make what is not up to date."""
    vocabularies = exp.recipe.lang.vocabularies if exp.recipe.has_task("asr") else []
    graphs = [name for name in vocabularies if not _graph_unit(exp, name).up_to_date()]
    run_jobs(_make_graph, [(exp, name) for name in graphs], [f"graph-{name}" for name in graphs], exp.n_jobs, exp.log_dir(8))
    if _adapts(exp) and not _adapt_unit(exp).up_to_date():
        _make_adaptation(exp)
    models: list[tuple[str, int]] = [(name, seed) for name, _, seed in exp.systems() if not _network_unit(exp, name, seed).up_to_date()]
    if _decodes_gmm(exp) and not _gmm_unit(exp).up_to_date():
        models.insert(0, ("", 0))
    names = [f"{name}-seed{seed}" if name else "gmm" for name, seed in models]
    for line in run_jobs(_evaluate, [(exp, *model) for model in models], names, exp.n_jobs, exp.log_dir(8)):
        LOG.info("  %s", line)


def _decodes_gmm(exp: Experiment) -> bool:
    return exp.recipe.decode.gmm and exp.recipe.has_task("asr")


def _adapts(exp: Experiment) -> bool:
    return exp.recipe.align.model == "sat" and exp.recipe.has_task("asr") and (exp.recipe.decode.gmm or exp.recipe.nn.features == "fmllr")


def _graph_unit(exp: Experiment, vocabulary: str) -> Unit:
    return exp.unit(f"8-decode/graph/{vocabulary}", {"vocabulary": vocabulary}, ["2-lang", "4-align"], ["cgs.decode.graph"])


def _vocabularies(exp: Experiment, name: str, seed: int) -> list[str]:
    """Vocabularies that a network is decoded with: all for a system's first seed and for the GMM (no name)."""
    first = not name or seed == exp.recipe.systems[name].seeds[0]
    return list(exp.recipe.lang.vocabularies[: None if first else 1])


def _recognition_options(exp: Experiment, vocabularies: Sequence[str], *without: str) -> dict[str, Any]:
    decode = exp.recipe.decode.model_dump(exclude={"gmm", "adaptation_scale", *without})
    return {"decode": decode, "vocabularies": list(vocabularies), "report": _intervals(exp), "seed": exp.recipe.recipe.seed}


def _intervals(exp: Experiment) -> dict[str, Any]:
    return exp.recipe.report.model_dump(include={"bootstrap", "confidence"})


def _adapt_unit(exp: Experiment) -> Unit:
    options = exp.recipe.decode.model_dump(include={"beam", "max_active", "adaptation_scale"}) | {"frame_shift": exp.recipe.feats.frame_shift}
    inputs = ["1-data", "2-lang", "3-feats", "4-align", f"8-decode/graph/{exp.recipe.lang.vocabularies[0]}"]
    return exp.unit(ADAPT_UNIT, options, inputs, ["cgs.stages.decode"])


def _gmm_unit(exp: Experiment) -> Unit:
    vocabularies = _vocabularies(exp, "", 0)
    inputs = ["1-data", "2-lang", "3-feats", "4-align", *(f"8-decode/graph/{v}" for v in vocabularies)]
    inputs += [ADAPT_UNIT] if _adapts(exp) else []
    return exp.unit(GMM_UNIT, _recognition_options(exp, vocabularies, "acoustic_scales"), inputs, ["cgs.stages.decode"])


def _network_unit(exp: Experiment, name: str, seed: int) -> Unit:
    task = exp.recipe.systems[name].task
    inputs = ["1-data", "3-feats", network_unit(task, name, seed), system_unit("7-pack", name, seed)]
    if task == "asr":
        vocabularies = _vocabularies(exp, name, seed)
        options = _recognition_options(exp, vocabularies, "gmm_acoustic_scales")
        inputs += ["2-lang", "4-align", *(f"8-decode/graph/{v}" for v in vocabularies)]
        inputs += [ADAPT_UNIT] if exp.recipe.nn.features == "fmllr" else []
    else:
        kws = exp.recipe.kws
        options = {"smooth_frames": kws.smooth_frames, "window_frames": kws.window_frames}
        options |= {"report": _intervals(exp), "seed": exp.recipe.recipe.seed}
    return exp.unit(system_unit("8-decode", name, seed), options, inputs, ["cgs.stages.decode"])


def _make_graph(item: tuple[Experiment, str]) -> None:
    from cgs.decode.graph import make_graph

    exp, vocabulary = item
    with _graph_unit(exp, vocabulary).writing() as out:
        make_graph(exp.root / "2-lang", vocabulary, exp.root / "4-align", out)


def _make_adaptation(exp: Experiment) -> None:
    """The transforms of every speaker of dev and the test splits, several groups of speakers at a time."""
    from cgs.gmm.adapted import write_fmllr

    with _adapt_unit(exp).writing() as out:
        splits = ["dev", *_test_splits(exp)]
        items = [(exp, out / PARTS, split, part) for split in splits for part in range(ADAPT_PARTS)]
        told = run_jobs(_adapt_part, items, [f"adapt-{split}.{part}" for _, _, split, part in items], exp.n_jobs, exp.log_dir(8))
        for index, split in enumerate(splits):
            mine = told[index * ADAPT_PARTS : (index + 1) * ADAPT_PARTS]
            write_fmllr(out, split, {speaker: matrix for part in mine for speaker, matrix in part.fmllr.items()}, exp.root / ADAPT_UNIT)
        spent = {split: sum(part.seconds for part in told[i * ADAPT_PARTS : (i + 1) * ADAPT_PARTS]) for i, split in enumerate(splits)}
        write_json(out / "adapt.json", {"processor_seconds": spent})
        shutil.rmtree(out / PARTS)


def _adapt_part(item: tuple[Experiment, Path, str, int]) -> Adapted:
    """Adapt to some of a split's speakers, or read what a killed run had finished."""
    from cgs.decode.adaptation import Adapted, estimate_fmllr
    from cgs.gmm.adapted import UNADAPTED_DIR, AdaptedFeatures
    from cgs.gmm.model import AcousticGmm
    from cgs.lang.lang import load_lang
    from cgs.score.evaluation import read_split

    exp, parts, name, part = item
    kept = parts / f"{name}.{part}.safetensors"
    if kept.exists():
        return Adapted.read(kept)
    align = exp.root / "4-align"
    model, unadapted = AcousticGmm.load(align), AcousticGmm.load(align / UNADAPTED_DIR)
    split = read_split(exp.root / "1-data", exp.root / "3-feats", name, "mfcc", "speaker", AdaptedFeatures(model, None, {}))
    speakers = sorted({utterance.speaker for utterance in split.utterances.values()})[part::ADAPT_PARTS]
    recogniser = _recogniser(exp, exp.recipe.lang.vocabularies[0], 0.0)
    silent = model.pdfs_of(load_lang(exp.root / "2-lang").silence_phones)
    found = estimate_fmllr(split.of_speakers(speakers).items, model, unadapted, silent, recogniser, exp.recipe.decode.adaptation_scale)
    found.write(kept)
    return found


def _evaluate(item: tuple[Experiment, str, int]) -> str:
    """Make the unit of a network, or of the GMM (no name); returns what it came to, for the console."""
    exp, name, seed = item
    unit = _network_unit(exp, name, seed) if name else _gmm_unit(exp)
    with unit.writing() as out:
        task = exp.recipe.systems[name].task if name else "asr"
        result = _spot(exp, out, name, seed) if task == "kws" else _recognise(exp, out, name, seed)
        write_json(out / "result.json", {"task": task} | result)
        shutil.rmtree(out / PARTS, ignore_errors=True)
    return f"{unit.name}: {_summary(result)}"


def _summary(result: dict[str, Any]) -> str:
    """One line: the main measure of every engine and split, and whether the search weights lie at the edge of those tried."""
    told = []
    for engine, entries in result["engines"].items():
        for condition, entry in entries.items():
            told.append(f"{engine} {condition} " + (f"WER {percent(entry['wer'])} %" if "wer" in entry else f"AUC {percent(entry['auc'])} %"))
    tuned = result["tuned"]
    if tuned and tuned["at_edge"]:
        told.append(f"the best acoustic scale, {tuned['acoustic_scale']:g}, is at the edge of those tried: widen decode.acoustic_scales")
    return "; ".join(told)


def _recognise(exp: Experiment, out: Path, name: str, seed: int) -> dict[str, Any]:
    """Tune on dev, then every engine, split and vocabulary of one acoustic model."""
    from cgs.score.tuning import Tuned

    engines = _network_engines(exp, "asr", name, seed) if name else {"gmm": _gmm_engine(exp)}
    first_engine, (features, first_scores) = next(iter(engines.items()))
    vocabularies = _vocabularies(exp, name, seed)
    recogniser = functools.lru_cache(maxsize=1)(functools.partial(_recogniser, exp))
    main = functools.partial(recogniser, vocabularies[0])
    facts = _kept(out / PARTS / "tuned.json", lambda: _tune(exp, features, first_scores(), main, bool(name)).to_json())
    tuned = Tuned(**facts)
    LOG.info("acoustic scale %g, insertion penalty %g", tuned.acoustic_scale, tuned.insertion_penalty)
    entries: dict[str, dict[str, Any]] = {engine: {} for engine in engines}
    for vocabulary in vocabularies:
        weighted = functools.partial(recogniser, vocabulary, tuned.insertion_penalty)
        for split in _test_splits(exp):
            condition = split if vocabulary == vocabularies[0] else f"{split}/{vocabulary}"
            for engine, (features, scores) in engines.items():
                stem = f"{engine}.{condition.replace('/', '.')}"
                make = _recognition(exp, out, stem, _split(exp, split, *features), scores, weighted, tuned.acoustic_scale)
                entries[engine][condition] = _kept(out / PARTS / f"{stem}.json", make)
    return {"engines": entries, "tuned": facts | {"engine": first_engine, "split": "dev", "vocabulary": vocabularies[0]}}


def _tune(exp: Experiment, features: tuple[str, str], scores: Scores, recogniser: Callable[[float], Recogniser], network: bool) -> Tuned:
    from cgs.score.evaluation import error_rates
    from cgs.score.tuning import choose_weights

    options = exp.recipe.decode
    dev = _split(exp, "dev", *features).sampled(options.max_dev_utterances)

    def rates(scales: Sequence[float], penalties: Sequence[float]) -> dict[tuple[float, float], float]:
        found: dict[tuple[float, float], float] = {}
        for penalty in penalties:
            found |= {(scale, penalty): rate for scale, rate in error_rates(dev, scores, recogniser(penalty), scales).items()}
        return found

    tuned = choose_weights(options.acoustic_scales if network else options.gmm_acoustic_scales, options.insertion_penalties, rates)
    for weights, rate in tuned.tried.items():
        LOG.info("dev: scale and penalty %s: WER %s %%", weights, percent(rate))
    return tuned


def _recognition(
    exp: Experiment, out: Path, stem: str, split: Split, scores: Callable[[], Scores], recogniser: Callable[[], Recogniser], scale: float
) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        from cgs.score.evaluation import feature_rtf, real_time_factors, recognise
        from cgs.score.recognition import score_recognition, write_recognition

        recognised, hypotheses, spent = recognise(split, scores(), recogniser(), scale)
        write_recognition(out, stem, recognised)
        write_text(out / f"{stem}.ctm", "".join(line for name, found in hypotheses.items() for line in recogniser().ctm(name, found)))
        entry = score_recognition(recognised, _interval_options(exp))
        LOG.info("%s: WER %s %%, %d of %d utterances without a complete path", stem, percent(entry["wer"]), entry["n_partial"], entry["n_utterances"])
        features = feature_rtf(split, exp.recipe.feats, exp.recipe.data.sample_rate, exp.recipe.data.resample)
        return entry | real_time_factors(spent | _adaptation_seconds(exp, split), split.total_seconds, features)

    return make


def _adaptation_seconds(exp: Experiment, split: Split) -> dict[str, float]:
    """{"adaptation": processor seconds} of a split whose features are adapted, else nothing."""
    from cgs.gmm.adapted import AdaptedFeatures

    if not isinstance(split.adapt, AdaptedFeatures) or split.adapt.fmllr is None:
        return {}
    return {"adaptation": read_json(exp.root / ADAPT_UNIT / "adapt.json")["processor_seconds"][split.name]}


def _spot(exp: Experiment, out: Path, name: str, seed: int) -> dict[str, Any]:
    """Every engine and split of one keyword network."""
    entries: dict[str, dict[str, Any]] = {}
    keywords = read_json(exp.root / network_unit("kws", name, seed) / "model.json")["classes"][2:]
    for engine, (features, posteriors) in _network_engines(exp, "kws", name, seed).items():
        entries[engine] = {}
        for split in _test_splits(exp):
            stem = f"{engine}.{split}"
            make = _detection(exp, out, stem, _split(exp, split, *features), posteriors, keywords)
            entries[engine][split] = _kept(out / PARTS / f"{stem}.json", make)
    return {"engines": entries, "tuned": None}


def _detection(
    exp: Experiment, out: Path, stem: str, split: Split, posteriors: Callable[[], Scores], keywords: Sequence[str]
) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        from cgs.score.detection import score_detection, write_detection
        from cgs.score.evaluation import detect, feature_rtf, real_time_factors

        options = exp.recipe.kws
        detected, spent = detect(split, posteriors(), keywords, options.smooth_frames, options.window_frames)
        write_detection(out, stem, detected, keywords)
        entry = score_detection(detected, keywords, split.total_seconds, _interval_options(exp))
        LOG.info("%s: AUC %s", stem, entry["auc"])
        features = feature_rtf(split, exp.recipe.feats, exp.recipe.data.sample_rate, exp.recipe.data.resample)
        return entry | real_time_factors(spent, split.total_seconds, features)

    return make


def _network_engines(exp: Experiment, task: str, name: str, seed: int) -> dict[str, tuple[tuple[str, str], Callable[[], Scores]]]:
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

    engines = ("float", "packed") if exp.recipe.systems[name].can_be_packed else ("float",)
    return {engine: ((features["kind"], features["cmvn"]), loaded(engine)) for engine in engines}


def _gmm_engine(exp: Experiment) -> tuple[tuple[str, str], Callable[[], Scores]]:
    from cgs.gmm.model import AcousticGmm

    return ("gmm", "speaker"), lambda: AcousticGmm.load(exp.root / "4-align").log_likelihoods


def _recogniser(exp: Experiment, vocabulary: str, insertion_penalty: float) -> Recogniser:
    from cgs.decode.recogniser import Recogniser

    options, graph = exp.recipe.decode, exp.root / "8-decode" / "graph" / vocabulary
    return Recogniser(exp.root / "2-lang", exp.root / "4-align", graph, options.beam, options.max_active, insertion_penalty, exp.recipe.feats.frame_shift)


def _split(exp: Experiment, name: str, kind: str, cmvn: str) -> Split:
    """A split with the features of a kind: what stage 3 made, "fmllr" for a network, or "gmm" for the GMM."""
    from cgs.gmm.adapted import AdaptedFeatures, read_adapted
    from cgs.gmm.model import AcousticGmm
    from cgs.score.evaluation import read_split

    data, feats, align = (exp.root / stage for stage in ("1-data", "3-feats", "4-align"))
    if kind not in ("fmllr", "gmm"):
        return read_split(data, feats, name, kind, cmvn)
    if exp.recipe.align.model == "sat":
        adapt = read_adapted(align, feats, exp.root / ADAPT_UNIT, name, kind == "fmllr")
    else:
        adapt = AdaptedFeatures(AcousticGmm.load(align), None, {})
    return read_split(data, feats, name, "mfcc", "speaker", adapt)


def _test_splits(exp: Experiment) -> list[str]:
    """Splits to evaluate, "test" first."""
    splits = read_json(exp.root / "1-data" / "data.json")["splits"]
    return ["test", *sorted(name for name in splits if name.startswith("test_"))]


def _interval_options(exp: Experiment) -> IntervalOptions:
    from cgs.score.recognition import IntervalOptions

    return IntervalOptions(exp.recipe.report.confidence, exp.recipe.report.bootstrap, exp.recipe.recipe.seed)


def _kept(path: Path, make: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """The part that a killed run left finished, or a new one, kept for the next."""
    if path.exists():
        LOG.info("%s: kept from the run before", path.stem)
        return read_json(path)
    value = make()
    write_json(path, value)
    return value
