"""Stage 8: decoding graphs, then every network and the GMM over the test splits, by float and packed engines.

Units: 8-decode/graph/<vocabulary>, 8-decode/adapt (fMLLR of the dev and test speakers, where the aligning model is
speaker-adapted), 8-decode/ladder/<step>, 8-decode/gmm and 8-decode/<system>/seed<k>. The first vocabulary is decoded for
every seed, further ones for a system's first seed. Weights of the search are chosen on dev with the float network and
the first vocabulary, and serve the packed engine and the other vocabularies too, so that only the model differs; what a
word spelled in pieces costs more is chosen likewise for the vocabulary "subword", in which alone there are such words.

result.json: {"task", "engines": {engine: {condition: entry}}, "tuned"}; engines are "float" and "packed", or "gmm"; a
condition is a split, or "<split>/<vocabulary>" after the first vocabulary. Entries: see `cgs.score.recognition` and
`cgs.score.detection`, with rtf beside."""

from __future__ import annotations

import shutil
from typing import Any

from cgs.base.experiment import Experiment
from cgs.base.files import write_json
from cgs.base.jobs import run_jobs
from cgs.base.log import LOG
from cgs.base.unit import Unit
from cgs.base.units import percent
from cgs.stages.decode_adaptation import make_adaptation
from cgs.stages.decode_detection import spot
from cgs.stages.decode_ladder import decode_step
from cgs.stages.decode_material import PARTS
from cgs.stages.decode_recognition import recognise
from cgs.stages.decode_units import adapt_unit, adapts, decodes_gmm, evaluation_unit, gmm_unit, graph_unit, ladder_steps, ladder_unit

TITLE = "decoding: WER, SER and keyword AUC of float and packed models"


def units(exp: Experiment) -> list[Unit]:
    """Every unit of the stage: graphs, the GMM, then the networks."""
    made = [graph_unit(exp, vocabulary) for vocabulary in exp.recipe.lang.vocabularies if exp.recipe.has_task("asr")]
    if adapts(exp):
        made.append(adapt_unit(exp))
    made += [ladder_unit(exp, step) for step in ladder_steps(exp)]
    if decodes_gmm(exp):
        made.append(gmm_unit(exp))
    return made + [evaluation_unit(exp, name, seed) for name, _, seed in exp.systems()]


def run(exp: Experiment) -> None:
    """Make what is not up to date."""
    prepare(exp)
    models: list[tuple[str, int]] = [(name, seed) for name, _, seed in exp.systems() if not evaluation_unit(exp, name, seed).up_to_date()]
    if decodes_gmm(exp) and not gmm_unit(exp).up_to_date():
        models.insert(0, ("", 0))
    names = [f"{name}-seed{seed}" if name else "gmm" for name, seed in models]
    for line in run_jobs(_evaluate, [(exp, *model) for model in models], names, exp.n_jobs, exp.log_dir(8)):
        LOG.info("  %s", line)


def prepare(exp: Experiment) -> None:
    """Make what networks share: graphs, the test speakers' transforms; and the ladder."""
    vocabularies = exp.recipe.lang.vocabularies if exp.recipe.has_task("asr") else []
    graphs = [name for name in vocabularies if not graph_unit(exp, name).up_to_date()]
    run_jobs(_make_graph, [(exp, name) for name in graphs], [f"graph-{name}" for name in graphs], exp.n_jobs, exp.log_dir(8))
    if adapts(exp) and not adapt_unit(exp).up_to_date():
        make_adaptation(exp)
    steps = [step for step in ladder_steps(exp) if not ladder_unit(exp, step).up_to_date()]
    for line in run_jobs(decode_step, [(exp, step) for step in steps], [f"ladder-{step}" for step in steps], exp.n_jobs, exp.log_dir(8)):
        LOG.info("  %s", line)


def _make_graph(item: tuple[Experiment, str]) -> None:
    from cgs.decode.graph import make_graph

    exp, vocabulary = item
    with graph_unit(exp, vocabulary).writing() as out:
        make_graph(exp.root / "2-lang", vocabulary, exp.root / "4-align", out)


def _evaluate(item: tuple[Experiment, str, int]) -> str:
    """Make the unit of a network, or of the GMM (no name); returns what it came to, for the console."""
    exp, name, seed = item
    unit = evaluation_unit(exp, name, seed) if name else gmm_unit(exp)
    with unit.writing() as out:
        task = exp.recipe.systems[name].task if name else "asr"
        result = spot(exp, out, name, seed) if task == "kws" else recognise(exp, out, name, seed)
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
