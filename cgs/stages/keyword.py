"""Stage 6: keyword networks, one for each kws system and seed, trained on the word alignments of stage 4."""

from __future__ import annotations

from typing import Any, Final

from cgs.base.experiment import Experiment, network_unit
from cgs.base.files import read_lines
from cgs.base.jobs import run_jobs
from cgs.base.options import SystemOptions
from cgs.base.unit import Unit

TITLE = "keyword networks"
KIND: Final = "mfcc"
CMVN: Final = "global"
"""A detector cannot wait for a speaker's statistics, so features are normalised by those of the training split."""
DETECTION_OPTIONS = {"smooth_frames", "window_frames"}
"""Options of [kws] that training does not depend on."""
CLASS_WEIGHT_POWER = 0.5
"""Classes weigh in the loss by the inverse square root of their frames: keywords are rare in running speech."""


def units(exp: Experiment) -> list[Unit]:
    """One unit for each kws system and seed."""
    return [_unit(exp, name, system, seed) for name, system, seed in exp.systems("kws")]


def run(exp: Experiment) -> None:
    """Train the networks that are not up to date, several at a time."""
    todo = [(name, seed) for name, system, seed in exp.systems("kws") if not _unit(exp, name, system, seed).up_to_date()]
    run_jobs(_train, [(exp, name, seed) for name, seed in todo], [f"{name}.seed{seed}" for name, seed in todo], exp.n_jobs, exp.log_dir(6))


def _unit(exp: Experiment, name: str, system: SystemOptions, seed: int) -> Unit:
    options: dict[str, Any] = {"kws": exp.recipe.kws.model_dump(exclude=DETECTION_OPTIONS), "system": system.model_dump(exclude={"seeds", "bits"})}
    options |= {"seed": seed, "device": exp.device}
    return exp.unit(network_unit("kws", name, seed), options, ["1-data", "2-lang", "3-feats", "4-align"], ["cgs.stages.keyword"])


def _train(job: tuple[Experiment, str, int]) -> None:
    from cgs.feats.archive import read_archive
    from cgs.feats.load import load_features, read_utt2spk
    from cgs.lang.tables import read_symbols
    from cgs.nn.data import held_out_utterances
    from cgs.nn.labels import CLASS_NAMES, OTHER_CLASS, SILENCE_CLASS, keyword_classes, keyword_ids
    from cgs.nn.system import make_examples, network_spec, train_network

    exp, name, seed = job
    system, options = exp.recipe.systems[name], exp.recipe.kws
    with _unit(exp, name, system, seed).writing() as out:
        feats = exp.root / "3-feats"
        keywords = read_lines(exp.root / "1-data" / "keywords.txt")
        class_of_word = keyword_ids(keywords, read_symbols(exp.root / "2-lang" / "words.txt"))
        words = read_archive(exp.root / "4-align" / "word_train.scp")
        labels = {utterance: keyword_classes(ids, class_of_word, options.min_keyword_overlap) for utterance, ids in words.items()}
        features = load_features(feats, KIND, "train", CMVN)
        held_out = held_out_utterances(read_utt2spk(feats / "utt2spk_train"), options.held_out_fraction)
        classes = [*CLASS_NAMES, *keywords]
        thinned, weights = (SILENCE_CLASS, OTHER_CLASS), (len(classes), CLASS_WEIGHT_POWER)
        examples = make_examples(features, labels, held_out, KIND, options, thinned, options.frame_stride, weights)
        spec = network_spec(system, options, next(iter(features.values())).shape[1], len(classes), seed)
        del features
        meta = {"task": "kws", "system": name, "features": {"cmvn": CMVN}, "classes": classes, "log_prior": None}
        train_network(spec, examples, options, meta, out, exp.device)
