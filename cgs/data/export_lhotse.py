"""Data directories as Lhotse manifests, without Lhotse: recordings and supervisions of a split as gzipped JSON lines.

Source: the fields of Lhotse's Recording and SupervisionSegment as its documentation gives them; `import_lhotse` reads them back."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cgs.base.files import writing
from cgs.data.audio import audio_info
from cgs.data.corpus import Seconds, Utterance
from cgs.data.datadir import read_data_dir, read_durations


def export_split(data_dir: Path, out: Path) -> tuple[Path, Path]:
    """Write recordings_<split>.jsonl.gz and supervisions_<split>.jsonl.gz; the split is the directory's name.

    Args:
        data_dir: a data directory that `validate_data_dir` accepts; its recordings are looked at for rate and length.
        out: folder of the manifests; equal data gives equal bytes.
    Returns: the two files.
    Raises: DataError: a file, an entry or a recording is missing or damaged.
    """
    utterances, seconds = read_data_dir(data_dir), read_durations(data_dir)
    names: dict[Path, str] = {}
    for utterance in utterances.values():
        whole = utterance.start is None and utterance.end is None
        names.setdefault(utterance.wav, utterance.id if whole else f"{data_dir.name}-{len(names):06d}")
    supervisions = [_supervision(utterance, names[utterance.wav], seconds[utterance.id]) for utterance in utterances.values()]
    paths = out / f"recordings_{data_dir.name}.jsonl.gz", out / f"supervisions_{data_dir.name}.jsonl.gz"
    for path, rows in zip(paths, ([_recording(name, wav) for wav, name in names.items()], supervisions), strict=True):
        _write(path, rows)
    return paths


def _recording(name: str, wav: Path) -> dict[str, Any]:
    rate, seconds = audio_info(wav)
    source = {"type": "file", "channels": [0], "source": str(wav)}
    return {"id": name, "sources": [source], "sampling_rate": rate, "num_samples": round(seconds * rate), "duration": seconds, "channel_ids": [0]}


def _supervision(utterance: Utterance, recording: str, seconds: Seconds) -> dict[str, Any]:
    place = {"id": utterance.id, "recording_id": recording, "start": utterance.start or 0.0, "duration": seconds, "channel": 0}
    return place | {"text": " ".join(utterance.words), "speaker": utterance.speaker} | ({"gender": utterance.gender.upper()} if utterance.gender else {})


def _write(path: Path, rows: Iterable[dict[str, Any]]) -> None:
    text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    with writing(path, "wb") as stream:
        stream.write(gzip.compress(text.encode("utf-8"), mtime=0))
