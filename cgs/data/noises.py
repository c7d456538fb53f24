"""The noise recordings and impulse responses that a recipe names: where they are, whether they changed, what they hold.

A name is a file or a folder, which is searched to its leaves; one that is not absolute begins at the corpus's root."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from cgs.base.errors import ConfigError
from cgs.base.log import LOG
from cgs.data.audio import audio_info
from cgs.data.layout import is_audio, tree_digest


def sources_digest(names: Iterable[str], root: Path) -> dict[str, str]:
    """What each name stands for now, told as the corpus's own files are: paths and sizes, no file is opened; "" where there is nothing."""
    found = {name: root / name for name in names}
    return {name: f"{path.stat().st_size} bytes" if path.is_file() else tree_digest(path) for name, path in found.items()}


def find_sources(option: str, names: Sequence[str], root: Path, sample_rate: int) -> tuple[Path, ...]:
    """Every recording that some names stand for, sorted within each name.

    Args:
        option: that holds the names, for errors and the log, e.g. "feats.noise.rooms".
        names: see this module.
        root: of the corpus.
        sample_rate: Hz; how many recordings are of another rate, and will be resampled, is logged.
    Raises: ConfigError: a name that stands for nothing. DataError: a recording that cannot be read, or has several channels.
    """
    sources = [path for name in names for path in _recordings(option, name, root)]
    rates = Counter(audio_info(path)[0] for path in sources)
    others = {rate: count for rate, count in sorted(rates.items()) if rate != sample_rate}
    told = f", {sum(others.values())} to be resampled from {', '.join(map(str, others))} Hz" if others else ""
    if sources:
        LOG.info("  %s: %d recordings%s", option, len(sources), told)
    return tuple(sources)


def _recordings(option: str, name: str, root: Path) -> list[Path]:
    path = root / name
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise ConfigError(f"{option}: {path}: no such file or folder", "correct the path; one that is not absolute begins at the corpus's root")
    found = sorted(inner for inner in path.rglob("*") if is_audio(inner) and inner.is_file())
    if not found:
        raise ConfigError(f"{option}: {path}: no recording in it", "name a folder of WAV, FLAC, SPHERE or Ogg files")
    return found
