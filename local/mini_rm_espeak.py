"""espeak-ng through its shared library: speech of one voice, and the phones of its words.

Owns the ctypes binding and the table from espeak-ng's phoneme mnemonics to our phones. espeak-ng is a separate program under the
GPL, installed by the `espeakng-loader` wheel and only called here; what it says is free of its licence."""

from __future__ import annotations

import _ctypes
import contextlib
import ctypes
from collections import Counter
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path

import numpy as np

from cgs.base.errors import DataError, ToolError
from local.mini_rm_voices import Voice

REMEDY = "install the pinned dependencies again: ./run.sh --setup"
SYNCHRONOUS = 2
BUFFER_MS = 20000
DONT_EXIT = 0x8000
UTF8 = 1
RATE, VOLUME, PITCH, RANGE = 1, 2, 3, 4
SEPARATOR = "_"
LEXICON_ACCENTS = ("en-us", "en")
"""Pronunciations come from these two; the other accents have to be understood through them."""
LOUDNESS = 30
"""espeak-ng volume at which no variant clips."""
RARE = 0.06
"""A pronunciation heard in a smaller share of a word's occurrences is left out."""

PHONES = {
    "b": "B", "d": "D", "f": "F", "g": "G", "h": "HH", "j": "Y", "k": "K", "l": "L", "m": "M", "n": "N", "N": "NG", "p": "P", "r": "R", "r-": "",
    "s": "S", "S": "SH", "t": "T", "t#": "T", "t2": "T", "tS": "CH", "dZ": "JH", "T": "TH", "D": "DH", "v": "V", "w": "W", "w#": "W", "z": "Z",
    "Z": "ZH", "a": "AE", "aa": "AE", "A:": "AA", "A@": "AA R", "0": "AA", "O": "AO", "O2": "AO", "O:": "AO", "o@": "AO R", "O@": "AO R", "@": "AX",
    "@2": "AX", "@5": "AX", "a#": "AX", "@L": "AX L", "V": "AH", "3": "ER", "3:": "ER", "E": "EH", "e@": "EH R", "eI": "EY", "I": "IH", "I2": "IH",
    "I#": "IH", "i": "IY", "i:": "IY", "i@": "IY AX", "i@3": "IH R", "u:": "UW", "U": "UH", "U@": "UH R", "oU": "OW", "aU": "AW", "aI": "AY",
    "aI@": "AY AX", "aI3": "AY ER", "aU@": "AW AX", "OI": "OY",
}  # fmt: skip
"""espeak-ng mnemonics, stress removed, in American English."""
NOT_RHOTIC = {"r-": "R", "A@": "AA", "o@": "AO", "O@": "AO", "e@": "EH AX", "3": "AX", "i@3": "IH AX", "U@": "UH AX", "aI3": "AY AX"}
"""Where British English differs."""

_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


class Espeak:
    """The library, loaded for one call at a time.

    espeak-ng keeps the state of its wave generator (flutter, noise, echo) from one sentence to the next, so the same sentence
    sounds different the second time. Unloading and loading it takes 0.6 ms and, with its two random generators seeded, makes each
    utterance depend on its own arguments only.

    Raises: ToolError: the wheel is missing or does not load here.
    """

    def __init__(self) -> None:
        try:
            import espeakng_loader

            self._library_path, self._data_path = espeakng_loader.get_library_path(), espeakng_loader.get_data_path()
        except (ImportError, RuntimeError, OSError) as error:
            raise ToolError(f"espeak-ng cannot be used ({error})", REMEDY) from error
        if not Path(self._library_path).is_file():
            raise ToolError(f"{self._library_path}: no such library", REMEDY)
        self._pieces: list[np.ndarray] = []
        self._callback = _CALLBACK(self._take)
        self.sample_rate = 0

    def speak(self, text: str, voice: Voice) -> np.ndarray:
        """Speech of one voice, before its formant shift.

        Args:
            text: English text.
            voice: who says it.
        Returns: (n_samples,) float32 in [-1, 1] at `self.sample_rate`.
        Raises: ToolError: espeak-ng has no such voice. DataError: it stays silent.
        """
        if not (Path(self._data_path) / "voices" / "!v" / voice.variant).is_file():  # espeak-ng itself would ignore the variant
            raise ToolError(f"espeak-ng has no voice variant {voice.variant!r}", REMEDY)
        raw = text.encode()
        self._pieces.clear()
        with self._loaded(f"{voice.accent}+{voice.variant}") as library:
            for parameter, value in ((RATE, voice.rate_wpm), (VOLUME, LOUDNESS), (PITCH, voice.pitch), (RANGE, voice.pitch_range)):
                library.espeak_SetParameter(parameter, value, 0)
            library.espeak_Synth(raw, len(raw) + 1, 0, 1, 0, UTF8, None, None)
            library.espeak_Synchronize()
        samples = np.concatenate([np.zeros(0, np.int16), *self._pieces]).astype(np.float32) / 32768
        loud = np.flatnonzero(np.abs(samples) > 0.003)
        if not len(loud):
            raise DataError(f"mini_rm: voice {voice.accent}+{voice.variant} says nothing for {text!r}", "leave that voice out")
        return samples[loud[0] : loud[-1] + 1]

    def mnemonics(self, texts: Iterable[str], accent: str) -> list[list[list[str]]]:
        """Phoneme mnemonics as espeak-ng speaks them in context: for each text, for each of its words."""
        with self._loaded(accent) as library:
            library.espeak_TextToPhonemes.restype = ctypes.c_char_p
            return [self._mnemonics_of(library, text) for text in texts]

    @staticmethod
    def _mnemonics_of(library: ctypes.CDLL, text: str) -> list[list[str]]:
        buffer = ctypes.create_string_buffer(text.encode())
        pointer = ctypes.c_void_p(ctypes.addressof(buffer))
        clauses = []
        while pointer.value:
            clauses.append(library.espeak_TextToPhonemes(ctypes.byref(pointer), UTF8, ord(SEPARATOR) << 8).decode())
        words = [[part.strip("',%=|!") for part in word.split(SEPARATOR)] for word in " ".join(clauses).split()]
        return [[part for part in word if part not in ("", ";", ":")] for word in words]

    def _take(self, samples: ctypes._Pointer, count: int, _events: int | None) -> int:
        if samples and count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    @contextlib.contextmanager
    def _loaded(self, voice: str) -> Iterator[ctypes.CDLL]:
        library = ctypes.CDLL(self._library_path)
        try:
            self.sample_rate = library.espeak_Initialize(SYNCHRONOUS, BUFFER_MS, self._data_path.encode(), DONT_EXIT)
            if self.sample_rate <= 0:
                raise ToolError(f"espeak-ng does not start with its data in {self._data_path}", REMEDY)
            library.espeak_ng_SetRandSeed(ctypes.c_long(1))  # it starts from the clock
            ctypes.CDLL(None).srand(1)  # Klatt voices and breath draw from the C library
            library.espeak_SetSynthCallback(self._callback)
            if library.espeak_SetVoiceByName(voice.encode()):
                raise ToolError(f"espeak-ng has no voice {voice!r}", REMEDY)
            yield library
        finally:
            library.espeak_Terminate()
            _ctypes.dlclose(library._handle)


def espeak_version() -> str:
    """Version of the wheel, for the corpus's plan. Raises: ToolError: not installed."""
    try:
        return metadata.version("espeakng-loader")
    except metadata.PackageNotFoundError as error:
        raise ToolError("espeakng-loader is not installed", REMEDY) from error


def to_phones(word: str, mnemonics: list[str], rhotic: bool) -> tuple[str, ...]:
    """Our phones for espeak-ng's mnemonics.

    Args:
        word: for the message.
        mnemonics: of one word, stress removed.
        rhotic: American rather than British.
    Raises: ToolError: a mnemonic that the table lacks, or none at all.
    """
    table = PHONES if rhotic else PHONES | NOT_RHOTIC
    unknown = [mnemonic for mnemonic in mnemonics if mnemonic not in table]
    if unknown or not mnemonics:
        what = f"the unknown phoneme {unknown[0]!r}" if unknown else "no phonemes"
        raise ToolError(f"mini_rm: word {word!r}: espeak-ng gives {what}", REMEDY)
    return tuple(phone for mnemonic in mnemonics for phone in table[mnemonic].split())


def make_lexicon(words: Iterable[str], sentences: Iterable[tuple[str, ...]]) -> list[tuple[str, tuple[str, ...]]]:
    """Pronunciations as espeak-ng speaks the words inside sentences, so weak forms ("to", "a") are there.

    Args:
        words: the vocabulary; a word that no sentence shows is spoken alone.
        sentences: text to listen to.
    Returns: (word, phones), sorted, at least one for each word, each pronunciation once.
    Raises: ToolError: see `to_phones`.
    """
    espeak, sentences = Espeak(), list(sentences)
    lexicon: set[tuple[str, tuple[str, ...]]] = set()
    for accent in LEXICON_ACCENTS:
        heard: dict[str, Counter[tuple[str, ...]]] = {word: Counter() for word in words}
        spoken = espeak.mnemonics([" ".join(sentence) for sentence in sentences], accent)
        for sentence, parts in zip(sentences, spoken, strict=True):
            if len(sentence) == len(parts):  # espeak-ng runs some function words together
                for word, part in zip(sentence, parts, strict=True):
                    heard[word][tuple(part)] += 1
        alone = [word for word, count in heard.items() if not count]
        for word, parts in zip(alone, espeak.mnemonics(alone, accent), strict=True):
            heard[word][tuple(part for group in parts for part in group)] += 1
        for word, count in heard.items():
            lexicon |= {(word, to_phones(word, list(m), accent == LEXICON_ACCENTS[0])) for m, n in count.items() if n >= RARE * count.total()}
    return sorted(lexicon)
