"""Stage 4 on a planted experiment: what it writes, a kill and a resume, and its errors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import CgsError, FormatError, TrainError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json
from cgs.base.options import AlignOptions, CorpusOptions, FeatsOptions, Recipe, RecipeOptions, SystemOptions
from cgs.data.corpus import Utterance
from cgs.data.datadir import write_data_dir
from cgs.feats import cmvn
from cgs.feats.archive import read_archive, write_archive
from cgs.gmm import train as train_module
from cgs.gmm.chunk import AlignedUtterance
from cgs.gmm.model import AcousticGmm
from cgs.lang.lang import make_lang
from cgs.stages import align

from .conftest import DIM, LEXICON, draw

ALIGN = AlignOptions(mono_iterations=8, mono_gaussians=30, tri_iterations=4, n_leaves=30, tri_gaussians=40)


def planted_experiment(root: Path, options: AlignOptions = ALIGN, extra: tuple[AlignedUtterance, ...] = ()) -> Experiment:
    """An experiment whose first stages are planted: data, language and features of drawn utterances."""
    make_lang(root / "2-lang", LEXICON, 0.5)
    total = np.zeros((2, DIM + 1))
    for split, n_utterances, seed in (("train", 30, 0), ("dev", 6, 1)):
        utterances = sorted([*draw(n_utterances, seed)[0], *(extra if split == "train" else ())], key=lambda u: u.id)
        told = [Utterance(u.id, u.id.partition("-")[0], root / f"{u.id}.wav", u.words) for u in utterances]
        write_data_dir(root / "1-data" / split, told, {u.id: len(u.features) / 100 for u in utterances})
        write_archive(root / "3-feats" / "mfcc", split, [(u.id, u.features) for u in utterances])
        (root / "3-feats" / f"utt2spk_{split}").write_text("".join(f"{u.id} {u.speaker}\n" for u in told))
        speakers = sorted({u.speaker for u in told})
        finite = {u.id: np.nan_to_num(u.features) for u in utterances}
        stats = {s: sum(cmvn.statistics(finite[u.id]) for u in told if u.speaker == s) for s in speakers}
        total += sum(stats.values())
        write_archive(root / "3-feats" / "mfcc", f"cmvn_{split}", list(stats.items()))
    write_archive(root / "3-feats" / "mfcc", "cmvn_global", [("global", total)])
    for name in align.units(_experiment(root, options))[0].inputs:
        write_json(root / name / "stamp.json", {"digest": name})
    return _experiment(root, options)


def _experiment(root: Path, options: AlignOptions) -> Experiment:
    systems = {"dense": SystemOptions(task="asr", method="dense", hidden=[8])}
    head = {"recipe": RecipeOptions(name="planted", title="planted"), "corpus": CorpusOptions(licence="none", attribution="drawn")}
    return Experiment(root, Recipe(**head, systems=systems, align=options, feats=FeatsOptions()))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    exp = planted_experiment(tmp_path_factory.mktemp("stage"))
    align.run(exp)
    return exp


def outputs(exp: Experiment) -> dict[str, bytes]:
    """Files of the stage by path, less those that hold paths or times."""
    unit = exp.root / "4-align"
    files = [path for path in sorted(unit.rglob("*")) if path.is_file()]
    return {str(path.relative_to(unit)): path.read_bytes() for path in files if path.suffix != ".scp" and path.name != "stamp.json"}


def test_archives_agree_with_each_other_and_with_the_model(made: Experiment):
    unit = made.root / "4-align"
    model, report = AcousticGmm.load(unit), read_json(unit / "align.json")
    assert report["n_pdfs"] == model.n_pdfs
    assert report["failed"] == {"train": 0, "dev": 0}
    assert len(report["log_likelihood"]["tri"]) == 4
    for split, n_utterances in (("train", 30), ("dev", 6)):
        pdfs, words = read_archive(unit / f"pdf_{split}.scp"), read_archive(unit / f"word_{split}.scp")
        features = read_archive(made.root / "3-feats" / "mfcc" / f"{split}.scp")
        assert list(pdfs) == list(words) == list(features)
        assert len(pdfs) == n_utterances
        assert all(len(pdfs[u]) == len(words[u]) == len(features[u]) for u in pdfs)
        assert 0 <= min(p.min() for p in pdfs.values()) <= max(p.max() for p in pdfs.values()) < model.n_pdfs
        said = sum(len(words_of) for words_of in draw(n_utterances, {"train": 0, "dev": 1}[split])[1].values())
        assert len((unit / f"{split}.ctm").read_text().splitlines()) == said
        assert (unit / f"{split}.phones.ctm").read_text().split("\n")[0].split()[4] == "SIL"
    assert not (unit / "checkpoints").exists()


def test_second_run_has_nothing_to_do(made: Experiment, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(align, "_make", lambda *_: pytest.fail("made again"))
    align.run(made)


def test_killed_stage_resumes_to_the_same_files(made: Experiment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    exp = planted_experiment(tmp_path)
    real, passes = train_module._pass, []

    def dying(*args) -> None:
        passes.append(1)
        if len(passes) == 10:
            raise KeyboardInterrupt
        real(*args)

    monkeypatch.setattr(train_module, "_pass", dying)
    with pytest.raises(KeyboardInterrupt):
        align.run(exp)
    assert not (tmp_path / "4-align").exists()
    align.run(exp)
    assert len(passes) < 8 + 4 + 10, "the monophones were not trained again"
    assert outputs(exp) == outputs(made)


def test_failed_utterance_is_named_and_nothing_is_left_in_place(tmp_path: Path):
    short = AlignedUtterance("spk0-short", ("one", "four"), np.zeros((5, DIM), dtype=np.float32))
    exp = planted_experiment(tmp_path, extra=(short,))
    with pytest.raises(TrainError, match=r"train: 1 of 31 utterances failed.*spk0-short"):
        align.run(exp)
    assert not (tmp_path / "4-align").exists()


def test_nan_in_the_features_is_told(tmp_path: Path):
    exp = planted_experiment(tmp_path)
    ark = tmp_path / "3-feats" / "mfcc" / "train.ark"
    ark.write_bytes(ark.read_bytes()[:-4] + np.float32("nan").tobytes())
    with pytest.raises(FormatError, match=r"train\.ark: spk\d-\d+: holds NaN"):
        align.run(exp)


def test_missing_stage_is_told(tmp_path: Path):
    with pytest.raises(CgsError, match="1-data.*run from --stage 1"):
        align.run(_experiment(tmp_path, ALIGN))
