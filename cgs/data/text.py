"""Transcripts and word lists: reading them and counting words that a lexicon lacks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterable
from pathlib import Path

from cgs.base.files import read_lines, writing

Sentence = tuple[str, ...]


def read_sentences(path: Path) -> list[Sentence]:
    """Sentences of a text file, one a line; blank lines are left out. Raises: DataError: missing or not UTF-8."""
    return [tuple(line.split()) for line in read_lines(path) if line.strip()]


def write_sentences(path: Path, sentences: Iterable[Sentence]) -> None:
    """Write one sentence a line."""
    with writing(path) as stream:
        stream.writelines(" ".join(words) + "\n" for words in sentences)


def read_transcripts(path: Path) -> dict[str, Sentence]:
    """Words of each utterance of a Kaldi `text` file, in the order of the file. Raises: DataError: missing or not UTF-8."""
    split = (line.split() for line in read_lines(path))
    return {parts[0]: tuple(parts[1:]) for parts in split if parts}


def count_oov(sentences: Iterable[Sentence], known: Container[str]) -> Counter[str]:
    """How often each word outside `known` occurs."""
    return Counter(word for words in sentences for word in words if word not in known)


def oov_fraction(sentences: Iterable[Sentence], known: Container[str]) -> float:
    """Share of running words outside `known`; 0 where there are no words."""
    sentences = list(sentences)
    total = sum(map(len, sentences))
    return sum(count_oov(sentences, known).values()) / total if total else 0.0


def listed(counts: Counter[str], most: int = 20) -> str:
    """The most frequent words with their counts, e.g. "FOO (3), BAR (1) and 4 more"."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    more = f" and {len(ranked) - most} more" if len(ranked) > most else ""
    return ", ".join(f"{word} ({count})" for word, count in ranked[:most]) + more
