"""The contract between a corpus's own data script, local/<name>.py, and everything else.

A data script is a module with

    class Options(cgs.base.options.Options)         its own options, the [local] table of recipe.toml
    def check_layout(root, options) -> None         raises CorpusError that lists what is missing or unexpected
    def prepare(root, audio_dir, options, seed) -> Corpus
    def synthesise(root, options, seed, n_jobs, log_dir) -> None     only where the corpus is made, not recorded
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

Seconds = float

SILENCE_WORD = "<sil>"
"""The transcript of a recording without speech, and its word in the lexicon."""
UNKNOWN_WORD = "<unk>"
"""Stands for words outside the lexicon."""


@dataclass(frozen=True)
class Utterance:
    """One utterance.

    Args:
        id: unique, begins with the speaker's name so that Kaldi's sorting agrees.
        speaker: who speaks.
        wav: the recording; WAV, FLAC, SPHERE or Ogg.
        words: the transcript.
        start, end: part of the recording, s; None for the whole of it.
        gender: "m", "f" or "" where unknown.
        speed: at which it is played; 1 but for copies of the training split, see `cgs.data.copies`.
    """

    id: str
    speaker: str
    wav: Path
    words: tuple[str, ...]
    start: Seconds | None = None
    end: Seconds | None = None
    gender: str = ""
    speed: float = 1.0


@dataclass(frozen=True)
class Corpus:
    """What a data script makes of a raw corpus.

    Args:
        splits: utterances by split. "train", "dev" and "test" must be there; further ones named "test_..." are decoded too.
        lexicon: (word, phones) pairs, a word once for each pronunciation; without the silence word.
        lm_text: sentences that the language model may learn from; never of dev or test.
        keywords: the words to spot, in output order; empty where the recipe has no keyword system.
        notes: facts for the report, e.g. how the splits were drawn.
        sources: what a made recording was made from, by utterance; one name must not occur in two splits.
        unseen_speakers: splits whose speakers must not occur in the training or, for a test split, the dev data.
    """

    splits: dict[str, list[Utterance]]
    lexicon: list[tuple[str, tuple[str, ...]]]
    lm_text: list[tuple[str, ...]]
    keywords: tuple[str, ...] = ()
    notes: dict[str, str] = field(default_factory=dict)
    sources: dict[str, tuple[str, ...]] = field(default_factory=dict)
    unseen_speakers: tuple[str, ...] = ()
