"""The units of stage 8: what each depends on.

8-decode/graph/<vocabulary>, 8-decode/adapt (fMLLR of the dev and test speakers, where the aligning model is speaker-adapted),
8-decode/ladder/<step> (GMMs of the steps below that model), 8-decode/gmm and 8-decode/<system>/seed<k>."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from cgs.base.experiment import Experiment, network_unit, system_unit
from cgs.base.unit import Unit

GMM_UNIT, ADAPT_UNIT = "8-decode/gmm", "8-decode/adapt"
CODE = ["cgs.stages.decode"]
SUBWORD = "subword"
"""The vocabulary whose unknown words are spelled in pieces."""


def decodes_gmm(exp: Experiment) -> bool:
    return exp.recipe.decode.gmm and exp.recipe.has_task("asr")


def adapts(exp: Experiment) -> bool:
    return exp.recipe.align.model == "sat" and exp.recipe.has_task("asr") and (exp.recipe.decode.gmm or exp.recipe.nn.features == "fmllr")


def graph_unit(exp: Experiment, vocabulary: str) -> Unit:
    return exp.unit(f"8-decode/graph/{vocabulary}", {"vocabulary": vocabulary}, ["2-lang", "4-align"], ["cgs.decode.graph"])


def vocabularies_of(exp: Experiment, name: str, seed: int) -> list[str]:
    """Vocabularies that a network is decoded with: all for a system's first seed and for the GMM (no name)."""
    first = not name or seed == exp.recipe.systems[name].seeds[0]
    return list(exp.recipe.lang.vocabularies[: None if first else 1])


def _recognition_options(exp: Experiment, vocabularies: Sequence[str], *without: str) -> dict[str, Any]:
    decode = exp.recipe.decode.model_dump(exclude={"gmm", "ladder", "adaptation_scale", *without})
    return {"decode": decode, "vocabularies": list(vocabularies), "report": _intervals(exp), "seed": exp.recipe.recipe.seed}


def _intervals(exp: Experiment) -> dict[str, Any]:
    return exp.recipe.report.model_dump(include={"bootstrap", "confidence"})


def adapt_unit(exp: Experiment) -> Unit:
    options = exp.recipe.decode.model_dump(include={"beam", "max_active", "adaptation_scale", "rate_exponent"}) | {"frame_shift": exp.recipe.feats.frame_shift}
    inputs = ["1-data", "2-lang", "3-feats", "4-align", f"8-decode/graph/{exp.recipe.lang.vocabularies[0]}"]
    return exp.unit(ADAPT_UNIT, options, inputs, CODE)


def gmm_unit(exp: Experiment) -> Unit:
    vocabularies = vocabularies_of(exp, "", 0)
    inputs = ["1-data", "2-lang", "3-feats", "4-align", *(f"8-decode/graph/{v}" for v in vocabularies)]
    inputs += [ADAPT_UNIT] if adapts(exp) else []
    return exp.unit(GMM_UNIT, _recognition_options(exp, vocabularies, "acoustic_scales"), inputs, CODE)


def ladder_steps(exp: Experiment) -> list[str]:
    """Steps below `align.model` that are decoded too."""
    from cgs.gmm.checkpoints import PHASES

    return list(PHASES[: PHASES.index(exp.recipe.align.model)]) if exp.recipe.decode.ladder and decodes_gmm(exp) else []


def ladder_unit(exp: Experiment, step: str) -> Unit:
    vocabulary = exp.recipe.lang.vocabularies[0]
    decode = exp.recipe.decode.model_dump(include={"beam", "max_active", "gmm_acoustic_scales", "insertion_penalties", "max_dev_utterances"})
    options = {"decode": decode, "vocabulary": vocabulary, "report": _intervals(exp), "seed": exp.recipe.recipe.seed}
    return exp.unit(f"8-decode/ladder/{step}", options, ["1-data", "2-lang", "3-feats", "4-align"], ["cgs.stages.decode_ladder"])


def evaluation_unit(exp: Experiment, name: str, seed: int) -> Unit:
    task = exp.recipe.systems[name].task
    inputs = ["1-data", "3-feats", network_unit(task, name, seed), system_unit("7-pack", name, seed)]
    if task == "asr":
        vocabularies = vocabularies_of(exp, name, seed)
        options = _recognition_options(exp, vocabularies, "gmm_acoustic_scales")
        inputs += ["2-lang", "4-align", *(f"8-decode/graph/{v}" for v in vocabularies)]
        inputs += [ADAPT_UNIT] if exp.recipe.nn.features == "fmllr" else []
    else:
        kws = exp.recipe.kws
        options = {"smooth_frames": kws.smooth_frames, "window_frames": kws.window_frames}
        options |= {"report": _intervals(exp), "seed": exp.recipe.recipe.seed}
    return exp.unit(system_unit("8-decode", name, seed), options, inputs, CODE)
