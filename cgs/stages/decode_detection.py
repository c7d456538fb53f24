"""Stage 8's keyword detection: every engine and split of one keyword network."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.experiment import Experiment, network_unit
from cgs.base.files import read_json
from cgs.base.log import LOG
from cgs.stages.decode_material import PARTS, kept, network_engines, split_of, test_splits

if TYPE_CHECKING:
    from cgs.decode.scores import Scores
    from cgs.score.evaluation import Split


def spot(exp: Experiment, out: Path, name: str, seed: int) -> dict[str, Any]:
    """{"engines": {engine: {split: entry}}, "tuned": null} of one keyword network."""
    entries: dict[str, dict[str, Any]] = {}
    keywords = read_json(exp.root / network_unit("kws", name, seed) / "model.json")["classes"][2:]
    for engine, (features, posteriors) in network_engines(exp, "kws", name, seed).items():
        entries[engine] = {}
        for split in test_splits(exp):
            stem = f"{engine}.{split}"
            make = _detection(exp, out, stem, split_of(exp, split, *features), posteriors, keywords)
            entries[engine][split] = kept(out / PARTS / f"{stem}.json", make)
    return {"engines": entries, "tuned": None}


def _detection(
    exp: Experiment, out: Path, stem: str, split: Split, posteriors: Callable[[], Scores], keywords: Sequence[str]
) -> Callable[[], dict[str, Any]]:
    def make() -> dict[str, Any]:
        from cgs.score.detection import score_detection, write_detection
        from cgs.score.evaluation import detect, feature_rtf, real_time_factors
        from cgs.score.recognition import IntervalOptions

        options = exp.recipe.kws
        detected, spent = detect(split, posteriors(), keywords, options.smooth_frames, options.window_frames)
        write_detection(out, stem, detected, keywords)
        entry = score_detection(detected, keywords, split.total_seconds, IntervalOptions.of(exp.recipe))
        LOG.info("%s: AUC %s", stem, entry["auc"])
        features = feature_rtf(split, exp.recipe.feats, exp.recipe.data.sample_rate, exp.recipe.data.resample)
        return entry | real_time_factors(spent, split.total_seconds, features)

    return make
