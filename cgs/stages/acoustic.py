"""Stage 5: acoustic networks, one for each asr system and seed, trained on the alignments of stage 4."""

from __future__ import annotations

from typing import Final

from cgs.base.experiment import Experiment, network_unit
from cgs.base.files import read_json
from cgs.base.jobs import run_jobs
from cgs.base.options import SystemOptions
from cgs.base.unit import Unit

TITLE = "acoustic networks"
KIND: Final = "fbank"
CMVN: Final = "speaker"


def units(exp: Experiment) -> list[Unit]:
    """One unit for each asr system and seed."""
    return [_unit(exp, name, system, seed) for name, system, seed in exp.systems("asr")]


def run(exp: Experiment) -> None:
    """Train the networks that are not up to date, several at a time."""
    todo = [(name, seed) for name, system, seed in exp.systems("asr") if not _unit(exp, name, system, seed).up_to_date()]
    run_jobs(_train, [(exp, name, seed) for name, seed in todo], [f"{name}.seed{seed}" for name, seed in todo], exp.n_jobs, exp.log_dir(5))


def _unit(exp: Experiment, name: str, system: SystemOptions, seed: int) -> Unit:
    options = {"nn": exp.recipe.nn.model_dump(), "system": system.model_dump(exclude={"seeds", "bits"}), "seed": seed, "device": exp.device}
    return exp.unit(network_unit("asr", name, seed), options, ["3-feats", "4-align"], ["cgs.stages.acoustic"])


def _train(job: tuple[Experiment, str, int]) -> None:
    from cgs.feats.archive import read_archive
    from cgs.feats.load import load_features, read_utt2spk
    from cgs.nn.data import held_out_utterances
    from cgs.nn.labels import log_prior
    from cgs.nn.system import make_examples, network_spec, train_network

    exp, name, seed = job
    system, options = exp.recipe.systems[name], exp.recipe.nn
    with _unit(exp, name, system, seed).writing() as out:
        feats, align = exp.root / "3-feats", exp.root / "4-align"
        pdfs = read_archive(align / "pdf_train.scp")
        n_pdfs = int(read_json(align / "align.json")["n_pdfs"])
        prior = log_prior(pdfs, n_pdfs).tolist()
        features = load_features(feats, KIND, "train", CMVN)
        held_out = held_out_utterances(read_utt2spk(feats / "utt2spk_train"), options.held_out_fraction)
        examples = make_examples(features, pdfs, held_out, KIND, options)
        spec = network_spec(system, options, next(iter(features.values())).shape[1], n_pdfs, seed)
        del features
        meta = {"task": "asr", "system": name, "features": {"cmvn": CMVN}, "classes": None, "log_prior": prior}
        train_network(spec, examples, options, meta, out, exp.device)
