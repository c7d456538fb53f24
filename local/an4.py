"""AN4 (CMU, 1991): people spell names and addresses and say numbers and control words, with the corpus's own dictionary.

The official split is kept. Dev speakers come out of the training speakers, and their sentences stay out of the
language-model text. Recordings are SPHERE or headerless; the latter are written as WAV."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

from pydantic import Field

from cgs.base import options as base
from cgs.base.errors import CorpusError, DataError
from cgs.base.files import read_lines
from cgs.data.corpus import Corpus, Utterance
from cgs.data.layout import check_root, find_recording, refuse
from cgs.data.pronunciations import VARIANT
from local.cmudict import read_cmudict
from local.dev_speakers import draw_dev_speakers

SAMPLE_RATE = 16000
SPLITS = ("train", "test")
FILES = ("etc/an4.dic", *(f"etc/an4_{split}.{kind}" for split in SPLITS for kind in ("fileids", "transcription")))
TRANSCRIPT = re.compile(r"(?P<words>.*?)\s*\((?P<name>[^()\s]+)\)\s*")
FILE_ID = re.compile(r"(?P<folder>\S+/)?(?P<speaker>[fm][^/\s]*)/(?P<name>[^/\s]+)")
NOT_WORDS = frozenset({"<s>", "</s>", "<sil>"})
LAYOUT_REMEDY = "give the folder an4 with etc and wav inside, see recipes/an4/README.md"


class Options(base.Options):
    """The dev set, and what headerless recordings do not say themselves."""

    dev_speakers: int = Field(8, ge=2, description="training speakers kept for dev, half of them women")
    raw_byte_order: Literal["big", "little"] = Field("big", description="of headerless .raw recordings, as the archive's name says")


def check_layout(root: Path, options: Options) -> None:
    """Raises: CorpusError: files missing, lists and transcripts that do not agree, recordings that are not there, too few speakers."""
    check_root(root, LAYOUT_REMEDY)
    refuse(root, "an4", [f"{name} is missing" for name in FILES if not (root / name).is_file()], LAYOUT_REMEDY)
    problems = []
    for split in SPLITS:
        listed, transcripts = read_file_ids(_list_path(root, split)), read_transcripts(_transcript_path(root, split))
        problems += [f"{split}: {name} is not in both fileids and transcription" for name in sorted(listed.keys() ^ transcripts.keys())]
        missing = [file_id for file_id in listed.values() if not _recording(root, file_id).is_file()]
        if missing:
            problems.append(f"{split}: {len(missing)} of {len(listed)} recordings are missing, the first is wav/{missing[0]}")
    n_speakers = len({_speaker(file_id) for file_id in read_file_ids(_list_path(root, "train")).values()})
    if n_speakers <= options.dev_speakers:
        problems.append(f"{n_speakers} training speakers, no more than local.dev_speakers = {options.dev_speakers}")
    refuse(root, "an4", problems, LAYOUT_REMEDY)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Read lists and transcripts; headerless recordings are written as WAV under `audio_dir`."""
    official = {split: [_with_header(utterance, audio_dir, options) for utterance in _utterances(root, split)] for split in SPLITS}
    dev = draw_dev_speakers({utterance.speaker: utterance.gender for utterance in official["train"]}, options.dev_speakers, seed)
    train = [utterance for utterance in official["train"] if utterance.speaker not in dev]
    lexicon, note = read_cmudict(root / "etc" / "an4.dic")
    return Corpus(
        splits={"train": train, "dev": [utterance for utterance in official["train"] if utterance.speaker in dev], "test": official["test"]},
        lexicon=lexicon,
        lm_text=[utterance.words for utterance in train],
        keywords=(),
        notes={"split": f"official; dev: training speakers {', '.join(sorted(dev))}", "lexicon": note},
        unseen_speakers=("dev", "test"),
    )


def read_file_ids(path: Path) -> dict[str, str]:
    """Path of each recording under wav/, without its suffix, by utterance: lines read "an4_clstk/fash/an251-fash-b".

    Raises: DataError: a line of another form, or an utterance twice.
    """
    table: dict[str, str] = {}
    for number, line in enumerate(read_lines(path), start=1):
        match = FILE_ID.fullmatch(line.strip())
        if not match:
            raise DataError(f"{path}:{number}: {line!r} is not: folder/speaker/utterance, the speaker f... or m...", "copy the file again")
        if match["name"] in table:
            raise DataError(f"{path}:{number}: {match['name']}: duplicate, listed before", "keep one")
        table[match["name"]] = match[0]
    return table


def read_transcripts(path: Path) -> dict[str, tuple[str, ...]]:
    """Words of each utterance: lines read "<s> YES </s> (an251-fash-b)", or the same without the marks; "READ(2)" is the word READ.

    Raises: DataError: a line of another form, or an utterance twice.
    """
    table: dict[str, tuple[str, ...]] = {}
    for number, line in enumerate(read_lines(path), start=1):
        match = TRANSCRIPT.fullmatch(line)
        if not match:
            raise DataError(f"{path}:{number}: {line!r} is not: words (utterance)", "copy the file again")
        if match["name"] in table:
            raise DataError(f"{path}:{number}: {match['name']}: duplicate, listed before", "keep one")
        table[match["name"]] = tuple(VARIANT.sub("", word).upper() for word in match["words"].split() if word.lower() not in NOT_WORDS)
    return table


def _utterances(root: Path, split: str) -> list[Utterance]:
    transcripts = read_transcripts(_transcript_path(root, split))
    utterances = []
    for name, file_id in read_file_ids(_list_path(root, split)).items():
        if name not in transcripts:
            raise CorpusError(f"{_transcript_path(root, split)}: no transcript of {name}", LAYOUT_REMEDY)
        speaker = _speaker(file_id)
        utterances.append(Utterance(f"{speaker}-{name}", speaker, _recording(root, file_id), transcripts[name], gender=speaker[0]))
    return utterances


def _with_header(utterance: Utterance, audio_dir: Path, options: Options) -> Utterance:
    """The utterance itself or, where its recording has no header, one whose recording is a WAV.

    Raises: DataError: no whole number of samples, or samples that look like the other byte order.
    """
    if utterance.wav.suffix.lower() != ".raw":
        return utterance
    import numpy as np

    from cgs.data.audio import PCM_SCALE, write_wav

    raw = utterance.wav.read_bytes()
    if not raw or len(raw) % 2:
        raise DataError(f"{utterance.wav}: {len(raw)} bytes, no whole number of 16-bit samples", "copy the file again")
    order = {"big": ">i2", "little": "<i2"}
    samples = {name: np.frombuffer(raw, kind).astype(np.float64) for name, kind in order.items()}
    rough = {name: float(np.abs(np.diff(values)).sum()) for name, values in samples.items()}
    if min(rough, key=rough.__getitem__) != options.raw_byte_order and len(set(rough.values())) > 1:
        raise DataError(f"{utterance.wav}: {options.raw_byte_order}-endian samples would be mere noise", "set local.raw_byte_order to the other order")
    path = audio_dir / f"{utterance.id}.wav"
    write_wav(path, samples[options.raw_byte_order] / PCM_SCALE, SAMPLE_RATE)
    return replace(utterance, wav=path)


def _recording(root: Path, file_id: str) -> Path:
    """The recording of a file id with any suffix that can be read, .raw included; a path that is not there where there is none."""
    wanted = root / "wav" / file_id
    raw = wanted.with_name(f"{wanted.name}.raw")
    return raw if raw.is_file() else find_recording(wanted.with_name(f"{wanted.name}.sph"))


def _speaker(file_id: str) -> str:
    return file_id.split("/")[-2]


def _list_path(root: Path, split: str) -> Path:
    return root / "etc" / f"an4_{split}.fileids"


def _transcript_path(root: Path, split: str) -> Path:
    return root / "etc" / f"an4_{split}.transcription"
