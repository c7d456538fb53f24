"""Makes the recordings of mini_rm from its plan: jobs, files, and going on after a kill.

Owns the layout of the raw corpus: wav/, noise/, lexicon.txt, lm_text.txt, plan.json and, last, manifest.json."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cgs.base.files import digest_of, read_json, write_json
from cgs.base.jobs import run_jobs
from cgs.data.audio import audio_info, read_audio, write_wav
from cgs.data.lexicon import write_lexicon
from cgs.data.text import write_sentences
from local.mini_rm_espeak import Espeak, espeak_version, make_lexicon
from local.mini_rm_grammar import KEYWORDS, vocabulary
from local.mini_rm_noise import SAMPLE_RATE, SOURCE_SECONDS, NoiseSource, impulse_response, make_noise, mix, reverberate, shift_formants
from local.mini_rm_piper import Piper, check_installed
from local.mini_rm_plan import Plan, Recording, Talkers, draw_plan
from local.mini_rm_voices import NATURAL, Voice

Item = TypeVar("Item")
FORMAT = 1
RECORDINGS_A_JOB = 150
NOISES_A_JOB = 7
NOISE_RMS = 0.1
"""Level of the noise files; what counts is the SNR at which they are mixed."""


@dataclass(frozen=True)
class SpeechJob:
    """Some recordings to be made under `root`."""

    root: Path
    recordings: list[Recording]


@dataclass(frozen=True)
class NoiseJob:
    """Some noise sources to be made under `root`, with the talkers of each babble."""

    root: Path
    noises: list[tuple[NoiseSource, Talkers]]


class Speaker:
    """Every voice behind one call; a synthesiser starts when it is first needed."""

    @cached_property
    def _espeak(self) -> Espeak:
        return Espeak()

    @cached_property
    def _piper(self) -> Piper:
        return Piper()

    def speak(self, text: str, voice: Voice) -> np.ndarray:
        """Dry speech of a voice with its formant shift: (n_samples,) float32 at SAMPLE_RATE."""
        raw = self._piper.speak(text) if voice.variant == NATURAL else self._espeak.speak(text, voice)
        return shift_formants(raw, voice.shift_441)


def wav_path(root: Path, name: str) -> Path:
    """The recording of an utterance."""
    return root / "wav" / f"{name}.wav"


def noise_path(root: Path, name: str) -> Path:
    """The recording of a noise source."""
    return root / "noise" / f"{name}.wav"


def components(recording: Recording, speech: np.ndarray, noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Reverberant speech and noise of an utterance, which add up to it.

    Args:
        recording: what was planned.
        speech: (n,) dry speech at SAMPLE_RATE.
        noise: (m,) the noise source, longer than the utterance or repeated.
    Returns: two (t,) float32, t = lead + n + trail.
    """
    lead, trail = round(recording.lead_s * SAMPLE_RATE), round(recording.trail_s * SAMPLE_RATE)
    wet = reverberate(speech, impulse_response(recording.rt60_s, recording.direct_db, recording.id))[: len(speech) + trail]
    total = lead + len(speech) + trail
    start = int(recording.noise_start * max(0, len(noise) - total))
    return mix(wet, np.resize(noise[start:], total), recording.snr_db, recording.level_db, lead)


def make_corpus(root: Path, options: Any, seed: int, n_jobs: int, log_dir: Path) -> None:
    """Make what is missing of the corpus; what an unfinished run under the same plan has made is kept.

    Args: see `local.mini_rm.synthesise`.
    """
    if options.natural_voice != "off":
        check_installed()
    plan = draw_plan(options, seed)
    digest = digest_of({"format": FORMAT, "espeak": espeak_version(), "plan": asdict(plan)})
    keep_if_same_plan(root, digest)
    noises = [noise for noise in plan.noises if not noise_path(root, noise[0].name).exists()]
    noise_jobs = [NoiseJob(root, share) for share in _shares(noises, NOISES_A_JOB)]
    run_jobs(_make_noises, noise_jobs, [f"noise-{job.noises[0][0].name}" for job in noise_jobs], n_jobs, log_dir)
    missing = [recording for recording in plan.recordings if not wav_path(root, recording.id).exists()]
    speech_jobs = [SpeechJob(root, share) for share in _shares(missing, RECORDINGS_A_JOB)]
    run_jobs(_make_recordings, speech_jobs, [f"speech-{job.recordings[0].id}" for job in speech_jobs], n_jobs, log_dir)
    write_sentences(root / "lm_text.txt", plan.lm_text)
    lexicon: dict[str, list[tuple[str, ...]]] = {}
    for word, phones in make_lexicon(vocabulary(), plan.lm_text):
        lexicon.setdefault(word, []).append(phones)
    write_lexicon(root / "lexicon.txt", lexicon)
    write_json(root / "manifest.json", _manifest(root, plan, digest, options, seed))


def _shares(items: list[Item], size: int) -> list[list[Item]]:
    return [items[first : first + size] for first in range(0, len(items), size)]


def keep_if_same_plan(root: Path, digest: str) -> None:
    """Throw away recordings of another plan and half-written ones, and say which plan the coming ones belong to."""
    path = root / "plan.json"
    (root / "manifest.json").unlink(missing_ok=True)
    if not path.exists() or read_json(path)["digest"] != digest:
        for folder in ("wav", "noise"):
            shutil.rmtree(root / folder, ignore_errors=True)
        write_json(path, {"digest": digest})
    for unfinished in root.glob("*/.*.tmp"):
        unfinished.unlink()


def _make_noises(job: NoiseJob) -> None:
    speaker = Speaker()
    for source, talkers in job.noises:
        speech = [np.concatenate([speaker.speak(f"{' '.join(words)}.", voice) for words in sentences]) for voice, sentences in talkers]
        samples = make_noise(source, round(SOURCE_SECONDS * SAMPLE_RATE), speech)
        write_wav(noise_path(job.root, source.name), samples * np.float32(NOISE_RMS), SAMPLE_RATE)


def _make_recordings(job: SpeechJob) -> None:
    speaker = Speaker()
    for recording in job.recordings:
        speech = speaker.speak(recording.text, recording.voice)
        clean, dirty = components(recording, speech, _noise(noise_path(job.root, recording.noise)))
        write_wav(wav_path(job.root, recording.id), clean + dirty, SAMPLE_RATE)


@lru_cache(maxsize=64)
def _noise(path: Path) -> np.ndarray:
    return read_audio(path, SAMPLE_RATE)


def _manifest(root: Path, plan: Plan, digest: str, options: Any, seed: int) -> dict[str, Any]:
    kinds = {source.name: source.kind for source, _ in plan.noises}
    return {
        "format": FORMAT,
        "digest": digest,
        "seed": seed,
        "options": options.model_dump(),
        "espeakng_loader": espeak_version(),
        "sample_rate": SAMPLE_RATE,
        "keywords": list(KEYWORDS),
        "noises": [asdict(source) for source, _ in plan.noises],
        "voices": [asdict(voice) for voice in _each_once([recording.voice for recording in plan.recordings])],
        "utterances": [_entry(root, recording, kinds) for recording in plan.recordings],
    }


def _each_once(voices: Sequence[Voice]) -> list[Voice]:
    return sorted(set(voices), key=lambda voice: voice.speaker)


def _entry(root: Path, recording: Recording, kinds: dict[str, str]) -> dict[str, Any]:
    plain = {key: value for key, value in asdict(recording).items() if key not in ("voice", "words")}
    path = wav_path(root, recording.id)
    return plain | {
        "speaker": recording.voice.speaker,
        "gender": recording.voice.gender,
        "text": " ".join(recording.words),
        "wav": str(path.relative_to(root)),
        "noise_kind": kinds[recording.noise],
        "seconds": audio_info(path)[1],
    }
