"""A tiny corpus with its own data script, made in milliseconds."""

from __future__ import annotations

import sys
import types
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from cgs.base.experiment import Experiment
from cgs.base.options import CorpusOptions, DataOptions, Options, Recipe, RecipeOptions, SystemOptions
from cgs.data.audio import write_wav
from cgs.data.corpus import Corpus, Utterance
from cgs.data.datadir import write_data_dir
from cgs.data.layout import check_root, recordings, refuse

RATE = 8000
LEXICON = [("YES", ("Y", "EH", "S")), ("NO", ("N", "OW"))]


def noise(seconds: float = 0.5, seed: int = 0) -> np.ndarray:
    """(n_samples,) float32 of white noise at 8 kHz."""
    return (np.random.default_rng(seed).standard_normal(round(seconds * RATE)) * 0.05).astype(np.float32)


def planted(root: Path, n_each: int = 3) -> Path:
    """A corpus tree: <root>/<split>-<speaker>-<n>.wav."""
    for split in ("train", "dev", "test"):
        for number in range(n_each):
            write_wav(root / f"{split}-s{number % 2}{split}-{number}.wav", noise(0.3, number), RATE)
    return root


def read_planted(root: Path) -> Corpus:
    """Its utterances: YES NO each."""
    splits: dict[str, list[Utterance]] = {"train": [], "dev": [], "test": []}
    for path in recordings(root):
        split, speaker, number = path.stem.split("-")
        splits[split].append(Utterance(f"{speaker}-{number}", speaker, path, ("YES", "NO")))
    return Corpus(splits, list(LEXICON), [u.words for u in splits["train"]], ("YES",), unseen_speakers=("dev", "test"))


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Iterator[types.ModuleType]:
    """local/planted.py, replaced as a whole; a test may change `script.corpus` to what prepare should return."""
    module = types.ModuleType("local.planted")

    def check_layout(root: Path, options: Options) -> None:
        check_root(root, "give the planted corpus")
        refuse(root, "planted", [] if recordings(root) else ["no recordings"], "plant some")

    def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
        return module.change(read_planted(root))  # type: ignore[attr-defined]

    module.Options, module.check_layout, module.prepare = type("Options", (Options,), {}), check_layout, prepare  # type: ignore[attr-defined]
    module.change = lambda corpus: corpus  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "local.planted", module)
    yield module


@pytest.fixture
def experiment(tmp_path: Path, script: types.ModuleType) -> Callable[..., Experiment]:
    """Make an experiment over the planted corpus: experiment(max_oov_fraction=0.5)."""

    def make(corpus: Path | None = tmp_path / "corpus", **data: object) -> Experiment:
        if corpus and not corpus.exists() and corpus.name == "corpus":
            planted(corpus)
        recipe = Recipe(
            recipe=RecipeOptions(name="planted", title="planted"),
            corpus=CorpusOptions(licence="none", attribution="tests"),
            data=DataOptions(**({"sample_rate": RATE} | data)),
            systems={"dense": SystemOptions(task="asr", method="dense", hidden=[8])},
        )
        return Experiment(tmp_path / "exp", recipe, corpus)

    return make


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    """A valid data directory of four utterances, two speakers."""
    utterances = []
    for number in range(4):
        wav = tmp_path / "audio" / f"{number}.wav"
        write_wav(wav, noise(0.5, number), RATE)
        utterances.append(Utterance(f"s{number // 2}-{number}", f"s{number // 2}", wav, ("YES", "NO"), gender="f"))
    write_data_dir(tmp_path / "data", utterances, {u.id: 0.5 for u in utterances})
    return tmp_path / "data"
