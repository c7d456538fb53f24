"""What the corpus mini_rm will hold, decided before a sample is made: who says what, in which noise and room.

Owns the plan: pure data drawn from the options and the seed, so that any utterance can be made alone and in any order."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

from local.mini_rm_grammar import Sentence, draw_disjoint
from local.mini_rm_noise import NoiseSource, draw_noise_sources
from local.mini_rm_voices import VARIANTS, Voice, draw_voices, natural_voice

if TYPE_CHECKING:
    from local.mini_rm import Options

Talkers = list[tuple[Voice, list[Sentence]]]
"""Who babbles, and what they say."""
QUESTIONS = ("what", "which", "who", "how", "when", "where", "why", "is", "are", "has", "does", "did", "will", "can")
"""A sentence that begins so is spoken as a question."""
BABBLE_SENTENCES = 6
"""Sentences of one talker in a babble, said again until the noise is long enough."""


@dataclass(frozen=True)
class Recording:
    """One utterance to be made.

    Args:
        id: speaker's name and a number.
        split: "train", "dev", "test" or "test_natural".
        words: what is said.
        voice: who says it.
        noise: name of the noise source.
        noise_start: where in the source, as a fraction of what is left over.
        snr_db: signal-to-noise ratio, dB.
        rt60_s: reverberation time, s; 0 for a dry recording.
        direct_db: energy of the direct sound over the reverberation's, dB.
        level_db: power of the speech, dB of full scale.
        lead_s, trail_s: noise before and after the speech, s.
    """

    id: str
    split: str
    words: Sentence
    voice: Voice
    noise: str
    noise_start: float
    snr_db: float
    rt60_s: float
    direct_db: float
    level_db: float
    lead_s: float
    trail_s: float

    @property
    def text(self) -> str:
        """The sentence with its final mark, for the synthesiser."""
        return f"{' '.join(self.words)}{'?' if self.words[0] in QUESTIONS else '.'}"


@dataclass(frozen=True)
class Plan:
    """The whole corpus.

    Args:
        recordings: sorted by id.
        noises: every noise source, with the talkers of each babble.
        lm_text: sentences for the language model: the training transcripts and more; none of dev or test.
    """

    recordings: list[Recording]
    noises: list[tuple[NoiseSource, Talkers]]
    lm_text: list[Sentence]


def draw_plan(options: Options, seed: int) -> Plan:
    """Decide the corpus; the same options and seed give the same plan.

    Raises: ConfigError: the grammar has too few sentences.
    """
    sizes = {"test_natural": options.natural_utterances if options.natural_voice == "test" else 0}
    sizes |= {"test": options.test_utterances, "dev": options.dev_utterances, "train": options.train_utterances, "lm": options.lm_sentences}
    sentences = draw_disjoint(sizes, seed)
    recordings: list[Recording] = []
    noises: list[tuple[NoiseSource, Talkers]] = []
    for split in VARIANTS:
        n_speakers, n_noises = getattr(options, f"{split}_speakers"), getattr(options, f"{split}_noises")
        voices = draw_voices(split, n_speakers, options.rate_wpm, options.formant_shift, seed)
        if split == "train" and options.natural_voice == "train":
            voices.append(natural_voice("train"))
        sources = draw_noise_sources(split, n_noises, seed)
        noises += [(source, _talkers(source, split, sentences["train"], options, seed)) for source in sources]
        recordings += _recordings(split, sentences[split], voices, sources, options, seed)
        if split == "test":
            recordings += _recordings("test_natural", sentences["test_natural"], [natural_voice("test_natural")], sources, options, seed)
    return Plan(sorted(recordings, key=lambda r: r.id), noises, sentences["train"] + sentences["lm"])


def _recordings(split: str, sentences: list[Sentence], voices: list[Voice], sources: list[NoiseSource], options: Options, seed: int) -> list[Recording]:
    """Sentences dealt to the speakers in turn; noise, room and level drawn for each."""
    snr_db = {"train": options.train_snr_db, "dev": options.dev_snr_db}.get(split, options.test_snr_db)
    recordings = []
    for index, words in enumerate(sentences):
        voice = voices[index % len(voices)]
        name = f"{voice.speaker}-{index:05d}"
        draw = random.Random(f"mini_rm recording {name} {seed}")
        wet = draw.random() < options.reverberant_fraction
        recordings.append(
            Recording(
                id=name,
                split=split,
                words=words,
                voice=voice,
                noise=draw.choice(sources).name,
                noise_start=round(draw.random(), 6),
                snr_db=round(draw.uniform(*snr_db), 1),
                rt60_s=round(draw.uniform(*options.rt60_s), 2) if wet else 0.0,
                direct_db=round(draw.uniform(*options.direct_db), 1) if wet else 0.0,
                level_db=round(draw.uniform(-32, -22), 1),
                lead_s=round(draw.uniform(0.15, 0.4), 3),
                trail_s=round(draw.uniform(0.2, 0.4), 3),
            )
        )
    return recordings


def _talkers(source: NoiseSource, split: str, sentences: list[Sentence], options: Options, seed: int) -> Talkers:
    """Who babbles: voices of the same split, saying training sentences; none where the noise is no babble."""
    if not source.talkers:
        return []
    draw = random.Random(f"mini_rm talkers {source.name} {seed}")
    voices = draw_voices(split, source.talkers, options.rate_wpm, options.formant_shift, draw.getrandbits(32))
    return [(voice, [draw.choice(sentences) for _ in range(BABBLE_SENTENCES)]) for voice in voices]
