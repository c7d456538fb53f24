"""Google Speech Commands: ten digits to spot, the other words as other speech, and recordings without speech.

Silence comes from `_background_noise_` where the corpus has it, from another folder where one is named, and else is
made: noise with the spectrum of the quietest stretch of a recording of the same split."""

from __future__ import annotations

import random
import re
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import Field

from cgs.base import options as base
from cgs.base.errors import CorpusError
from cgs.base.files import read_lines
from cgs.data.corpus import SILENCE_WORD, Corpus, Seconds, Utterance
from cgs.data.layout import check_root, find_recording, is_audio, recordings, refuse

if TYPE_CHECKING:
    import numpy as np

SAMPLE_RATE = 16000
CLIP_SECONDS: Seconds = 1.0
QUIET_SECONDS: Seconds = 0.1
"""Length of the quietest stretch of a recording that the made silence imitates."""
SPLITS = ("train", "dev", "test")
LISTS = {"validation_list.txt": "dev", "testing_list.txt": "test"}
BACKGROUND = "_background_noise_"
NAME = re.compile(r"(?P<speaker>[^_]+)_nohash_(?P<number>[0-9]+)")
LAYOUT_REMEDY = "give the folder with a folder for each word and the two lists, see recipes/speech_commands/README.md"
DIGITS = ("ZERO", "ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX", "SEVEN", "EIGHT", "NINE")
PRONUNCIATIONS = """
BACKWARD B AE K W ER D
BED B EH D
BIRD B ER D
CAT K AE T
DOG D AO G
DOWN D AW N
EIGHT EY T
FIVE F AY V
FOLLOW F AA L OW
FORWARD F AO R W ER D
FOUR F AO R
GO G OW
HAPPY HH AE P IY
HOUSE HH AW S
LEARN L ER N
LEFT L EH F T
MARVIN M AA R V IH N
NINE N AY N
NO N OW
OFF AO F
ON AA N
ON AO N
ONE W AH N
RIGHT R AY T
SEVEN S EH V AH N
SHEILA SH IY L AH
SIX S IH K S
STOP S T AA P
THREE TH R IY
TREE T R IY
TWO T UW
UP AH P
VISUAL V IH ZH UW AH L
WOW W AW
YES Y EH S
ZERO Z IH R OW
ZERO Z IY R OW
"""


class Options(base.Options):
    """Keywords and silence."""

    keywords: list[str] = Field(list(DIGITS), min_length=1, description="words to spot; every other word is other speech")
    silence_fraction: float = Field(0.1, ge=0, lt=1, description="recordings without speech, as a share of the others, in each split")
    noise_dir: str = Field("", description="folder of noise recordings for them, searched to any depth; empty takes the corpus's own, or makes some")
    max_per_word: int = Field(0, ge=0, description="training recordings of each word, drawn at random; 0 takes all")


def check_layout(root: Path, options: Options) -> None:
    """Raises: CorpusError: lists or keywords missing, unknown folders or names, or listed recordings that are not there."""
    check_root(root, LAYOUT_REMEDY)
    problems = [f"{name} is missing" for name in LISTS if not (root / name).is_file()]
    known = {word for word, _ in _lexicon()}
    folders = {folder.name.upper() for folder in _word_folders(root)}
    problems += [f"no folder for the keyword {word}" for word in options.keywords if word.upper() not in folders]
    problems += [f"folder {name.lower()} is not a word of the corpus" for name in sorted(folders - known)]
    refuse(root, "speech_commands", problems, LAYOUT_REMEDY)
    for folder in _word_folders(root):
        problems += [f"{folder.name}/{path.name}: not {{speaker}}_nohash_{{number}}" for path in recordings(folder) if not NAME.fullmatch(path.stem)]
    for name in LISTS:
        missing = [entry for entry in _listed(root, name) if not find_recording(root / entry).exists()]
        if missing:
            problems.append(f"{len(missing)} recordings of {name} are missing, the first is {missing[0]}")
    if options.noise_dir and not Path(options.noise_dir).is_dir():
        raise CorpusError(f"local.noise_dir: {options.noise_dir}: no such directory", "correct it, or leave it empty")
    refuse(root, "speech_commands", problems, LAYOUT_REMEDY)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Split the recordings by the official lists and write recordings without speech under `audio_dir`."""
    group = {Path(entry).with_suffix("").as_posix(): split for name, split in LISTS.items() for entry in _listed(root, name)}
    splits: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    for folder in _word_folders(root):
        own: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
        for path in recordings(folder):
            own[group.get(f"{folder.name}/{path.stem}", "train")].append(_utterance(path))
        if options.max_per_word and len(own["train"]) > options.max_per_word:
            own["train"] = random.Random(f"{seed} {folder.name}").sample(own["train"], options.max_per_word)
        for split in SPLITS:
            splits[split] += own[split]
    text = [utterance.words for utterance in splits["train"]]
    silence, sources, note = _silence(root, audio_dir, splits, options, seed)
    return Corpus(
        splits={split: splits[split] + silence[split] for split in SPLITS},
        lexicon=_lexicon(),
        lm_text=text,
        keywords=tuple(word.upper() for word in options.keywords),
        notes={"split": "the corpus's own lists; no speaker in two splits", "silence": note},
        sources=sources,
        unseen_speakers=("dev", "test"),
    )


def _utterance(path: Path) -> Utterance:
    match = NAME.fullmatch(path.stem)
    if not match:
        raise CorpusError(f"{path}: not {{speaker}}_nohash_{{number}}", LAYOUT_REMEDY)
    word = path.parent.name
    return Utterance(f"{match['speaker']}-{word}-{match['number']}", match["speaker"], path, (word.upper(),))


def _lexicon() -> list[tuple[str, tuple[str, ...]]]:
    return [(word, tuple(phones)) for word, *phones in (line.split() for line in PRONUNCIATIONS.split("\n") if line)]


def _word_folders(root: Path) -> list[Path]:
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith(("_", ".")))


def _listed(root: Path, name: str) -> list[str]:
    return [line.strip() for line in read_lines(root / name) if line.strip()]


def _silence(
    root: Path, audio_dir: Path, splits: dict[str, list[Utterance]], options: Options, seed: int
) -> tuple[dict[str, list[Utterance]], dict[str, tuple[str, ...]], str]:
    """Utterances without speech, what they were made from, and a line on where they come from."""
    from cgs.data.audio import write_wav

    folder = Path(options.noise_dir) if options.noise_dir else root / BACKGROUND
    cells = noise_cells(folder, random.Random(f"{seed} cells")) if folder.is_dir() else {}
    silence: dict[str, list[Utterance]] = {split: [] for split in SPLITS}
    sources: dict[str, tuple[str, ...]] = {}
    for split in SPLITS:
        speech = sorted(splits[split], key=lambda utterance: utterance.id)
        draw = random.Random(f"{seed} silence {split}")
        for number in range(round(options.silence_fraction * len(speech))):
            if cells:
                path, second = cells[split][number % len(cells[split])]
                speaker, name = f"noise{split}", f"noise{split}-{number:05d}"
                samples = _clip(path, second, draw)
                sources[name] = (f"{path.relative_to(folder)} from second {second}",)
            else:
                like = speech[draw.randrange(len(speech))]
                speaker, name = like.speaker, f"{like.speaker}-sil-{split}{number:05d}"
                samples = background_like(like.wav, draw.getrandbits(63))
            wav = audio_dir / split / f"{name}.wav"
            write_wav(wav, samples, SAMPLE_RATE)
            silence[split].append(Utterance(name, speaker, wav, (SILENCE_WORD,)))
    note = f"seconds of the recordings in {folder.name}, none in two splits" if cells else "made: noise with the spectrum of quiet stretches of the recordings"
    return silence, sources, note


def noise_cells(folder: Path, draw: random.Random) -> dict[str, list[tuple[Path, int]]]:
    """Whole seconds of the noise recordings by split, each second in one split only, in random order.

    A recording of ten seconds or more gives its first eight tenths to train, then a tenth each to dev and test; of the
    shorter ones each ninth goes to dev and each tenth to test.
    Raises: CorpusError: too little noise for three splits.
    """
    from cgs.data.audio import audio_info

    cells: dict[str, list[tuple[Path, int]]] = {split: [] for split in SPLITS}
    for index, path in enumerate(sorted(path for path in folder.rglob("*") if path.is_file() and is_audio(path))):
        n_seconds = int(audio_info(path)[1])
        for second in range(n_seconds):
            part = second / n_seconds if n_seconds >= 10 else index % 10 / 10
            cells["train" if part < 0.8 else "dev" if part < 0.9 else "test"].append((path, second))
    empty = [split for split in SPLITS if not cells[split]]
    if empty:
        raise CorpusError(f"{folder}: not enough noise for {', '.join(empty)}", "ten recordings, or one of ten seconds or more, are needed")
    for split in SPLITS:
        draw.shuffle(cells[split])
    return cells


def _clip(path: Path, second: int, draw: random.Random) -> np.ndarray:
    """One second of a noise recording, 0 to 30 dB below its own level."""
    from cgs.data.audio import read_audio

    samples = read_audio(path, SAMPLE_RATE, float(second), second + CLIP_SECONDS, resample=True)
    return samples * 10 ** (-draw.uniform(0, 30) / 20)


def background_like(path: Path, seed: int) -> np.ndarray:
    """One second of Gaussian noise with the level and the spectrum of the quietest stretch of a recording.

    Returns: (n_samples,) float64.
    """
    import numpy as np

    from cgs.data.audio import read_audio

    samples = np.asarray(read_audio(path, SAMPLE_RATE, resample=True), dtype=np.float64)
    n_quiet, n_samples = min(round(QUIET_SECONDS * SAMPLE_RATE), len(samples)), round(CLIP_SECONDS * SAMPLE_RATE)
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples))])
    first = int(np.argmin(energy[n_quiet:] - energy[:-n_quiet]))
    quiet = samples[first : first + n_quiet] * np.hanning(n_quiet)
    spectrum = np.abs(np.fft.rfft(quiet, n_samples))
    smooth = np.convolve(spectrum, np.ones(n_samples // n_quiet) / (n_samples // n_quiet), mode="same")
    noise = np.fft.irfft(np.fft.rfft(np.random.default_rng(seed).standard_normal(n_samples)) * smooth, n_samples)
    level = np.sqrt(np.mean(np.square(samples[first : first + n_quiet])))
    return noise * max(level, 1 / 32768) / max(np.sqrt(np.mean(np.square(noise))), 1e-12)
