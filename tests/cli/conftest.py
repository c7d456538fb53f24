"""An experiment on a corpus of tones: each phone is a tone, so its alignments are known; features, networks and decoding are the stages' own."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from cgs.base.experiment import Experiment
from cgs.base.files import write_json, write_text
from cgs.base.options import Recipe
from cgs.base.unit import Unit
from cgs.data.audio import write_wav
from cgs.data.corpus import Utterance
from cgs.data.datadir import write_data_dir
from cgs.feats.archive import write_archive
from cgs.gmm.gaussians import from_moments
from cgs.gmm.model import AcousticGmm
from cgs.gmm.train import lang_topology, roots
from cgs.gmm.tree import monophone_tree
from cgs.gmm.tree_format import tree_bytes
from cgs.lang.lang import Lang, load_lang
from cgs.quant.packed import PackedLayer, PackedModel, write_packed
from cgs.stages import acoustic, decode, feats, keyword, lang, pack

RATE, PHONE_FRAMES = 8000, 9
LEXICON = {"yes": ["Y", "E"], "no": ["N", "O"], "maybe": ["M", "A", "B"]}
HERTZ = {"Y": 500, "E": 800, "N": 1200, "O": 1700, "M": 2300, "A": 2900, "B": 3500}
SIZES = {"train": 40, "dev": 3, "test": 8}
RECIPE = {
    "recipe": {"name": "tones", "title": "words of tones"},
    "corpus": {"licence": "none needed", "attribution": "nobody"},
    "data": {"sample_rate": RATE},
    "lang": {"ngram_order": 1},
    "nn": {"cmvn": "running", "epochs": 4, "minibatch": 64, "learning_rate": 5e-3, "dropout": 0.0, "left_context": 2, "right_context": 3},
    "kws": {"epochs": 4, "minibatch": 64, "learning_rate": 5e-3, "dropout": 0.0, "left_context": 12, "right_context": 2}
    | {"smooth_frames": 5, "window_frames": 10},
    "pack": {"epochs": 0},
    "decode": {"acoustic_scales": [0.3], "insertion_penalties": [0.5], "gmm": False},
    "report": {"bootstrap": 20},
    "systems": {
        "words": {"task": "asr", "method": "dense", "hidden": [32]},
        "spotter": {"task": "kws", "method": "dense", "hidden": [32]},
    },
}


def one_line(capsys: pytest.CaptureFixture[str]) -> str:
    """What stderr holds, which is one line."""
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    return err


def sentence(rng: np.random.Generator, n_words: int) -> list[str]:
    """Words and pauses, "" of some frames, the first and the last of them pauses."""
    return ["", *(part for _ in range(n_words) for part in (str(rng.choice(list(LEXICON))), ""))]


def spoken(parts: list[str], rng: np.random.Generator, pause: tuple[int, int] = (12, 30)) -> tuple[np.ndarray, list[tuple[str, str, int]]]:
    """Samples of words and pauses, and (word, phone, frames) of every stretch of them."""
    stretches = []
    for part in parts:
        stretches += [(part, phone, PHONE_FRAMES) for phone in LEXICON[part]] if part else [("", "SIL", int(rng.integers(*pause)))]
    pieces = []
    for _, phone, n_frames in stretches:
        time = np.arange(n_frames * RATE // 100) / RATE
        pieces.append(0.3 * np.sin(2 * np.pi * HERTZ[phone] * time) if phone != "SIL" else np.zeros(len(time)))
    samples = np.concatenate(pieces)
    return samples + rng.standard_normal(len(samples)) * 0.003, stretches


def _unit(root: Path, name: str, options: dict[str, object] | None = None) -> Unit:
    return Unit(root, name, options or {}, [], [])


def _make_data(root: Path) -> dict[str, dict[str, list[tuple[str, str, int]]]]:
    rng, stretches = np.random.default_rng(3), {}
    with _unit(root, "1-data").writing() as out:
        for split, size in SIZES.items():
            utterances, told = [], {}
            for index in range(size):
                name, parts = f"{split}{index % 4}-{index}", sentence(rng, int(rng.integers(1, 5)))
                samples, told[name] = spoken(parts, rng)
                wav = root / "audio" / split / f"{name}.wav"
                write_wav(wav, samples, RATE)
                utterances.append(Utterance(name, name.split("-")[0], wav, tuple(part for part in parts if part)))
            write_data_dir(out / split, utterances, {u.id: sum(n for *_, n in told[u.id]) / 100 for u in utterances})
            stretches[split] = told
        write_text(out / "lexicon.txt", "".join(f"{word} {' '.join(phones)}\n" for word, phones in sorted(LEXICON.items())))
        write_text(out / "lm.txt", "yes no maybe\nno maybe yes\nmaybe yes no\n")
        write_text(out / "keywords.txt", "yes\nmaybe\n")
        write_json(out / "data.json", {"splits": {split: {} for split in SIZES}, "digest": "0" * 64})
    return stretches


def _make_alignments(root: Path, lang_: Lang, stretches: dict[str, dict[str, list[tuple[str, str, int]]]]) -> None:
    """Monophones, and the pdf and the word of each frame, known from how the sound was made."""
    tree = monophone_tree(roots(lang_))
    gaussians = from_moments(np.ones(tree.n_pdfs), np.zeros((tree.n_pdfs, 39)), np.ones((tree.n_pdfs, 39)), np.arange(tree.n_pdfs + 1))
    gmm = AcousticGmm(tree_bytes(tree), lang_topology(lang_), gaussians)
    table = gmm.transitions
    pdf_of = {(int(f), int(c)): int(p) for f, c, p in zip(table.phone[1:], table.pdf_class[1:], table.pdf[1:], strict=True)}
    n_states = {phone: 1 + max(c for f, c in pdf_of if f == number) for phone, number in lang_.phones.items() if any(f == number for f, _ in pdf_of)}
    with _unit(root, "4-align").writing() as out:
        gmm.save(out)
        write_json(out / "align.json", {"n_pdfs": tree.n_pdfs})
        for split in ("train", "dev"):
            pdfs, words = {}, {}
            for name, told in stretches[split].items():
                pdfs[name] = np.array([pdf_of[lang_.phones[p], i * n_states[p] // n] for _, p, n in told for i in range(n)], dtype=np.int32)
                words[name] = np.array([lang_.words[word] if word else 0 for word, _, n in told for _ in range(n)], dtype=np.int32)
            write_archive(out, f"pdf_{split}", sorted(pdfs.items()))
            write_archive(out, f"word_{split}", sorted(words.items()))


def in_process(function, items, names, n_jobs, log_dir):
    return [function(pickle.loads(pickle.dumps(item))) for item in items]


@pytest.fixture(scope="session")
def tones(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The experiment's directory, decoded; its report holds no more than an export reads."""
    root = tmp_path_factory.mktemp("tones") / "exp"
    exp = Experiment(root, Recipe.model_validate(RECIPE))
    stretches = _make_data(root)
    with pytest.MonkeyPatch.context() as patch:
        for stage in (feats, acoustic, keyword, pack, decode):
            patch.setattr(stage, "run_jobs", in_process)
        lang.run(exp)
        feats.run(exp)
        _make_alignments(root, load_lang(root / "2-lang"), stretches)
        for stage in (acoustic, keyword, pack, decode):
            stage.run(exp)
    options = {"recipe": RECIPE["recipe"], "corpus": RECIPE["corpus"]}
    with _unit(root, "10-report", options).writing() as out:
        write_json(out / "results.json", {"commit": "abc", "config_digest": "1", "data_digest": "2"})
    yield root


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A packed file of one dense layer of 500 outputs and 403 inputs."""
    formats = (6, 5, 16, 5, 8, True, 4, 32, 9, False)
    layer = PackedLayer(403, 500, 0, None, np.ones((500, 403), dtype=np.int8), np.zeros(500, dtype=np.int64), *formats)
    write_packed(tmp_path / "model.cgs", PackedModel((layer,), {}))
    return tmp_path / "model.cgs"
