"""Copies of the training split: their names, speakers and speeds."""

from __future__ import annotations

from pathlib import Path

from cgs.data.copies import noisy_copies, original, speed_copies
from cgs.data.corpus import Utterance


def test_copies_have_their_own_utterance_and_speaker() -> None:
    one = Utterance("ann-1", "ann", Path("a.wav"), ("yes",))
    copies = speed_copies({"ann-1": one}, [0.9, 1.1])
    assert list(copies) == ["sp0.9-ann-1", "sp1.1-ann-1"]
    copy = copies["sp1.1-ann-1"]
    assert (copy.id, copy.speaker, copy.words, copy.wav, copy.speed) == ("sp1.1-ann-1", "sp1.1-ann", ("yes",), one.wav, 1.1)
    assert original(copy.id) == "ann-1" and original(copy.speaker) == "ann" and one.speed == 1


def test_noisy_copies_are_made_of_the_recording_or_of_a_copy_at_another_speed() -> None:
    recorded = {f"ann-{n}": Utterance(f"ann-{n}", "ann", Path("a.wav"), ("yes",)) for n in range(100)}
    copies = noisy_copies(recorded, [0.9, 1.1], 2, 7)
    assert len(copies) == 200 and all(name == copy.id for name, copy in copies.items())
    clean = recorded | speed_copies(recorded, [0.9, 1.1])
    for name, copy in copies.items():
        source = clean[original(name)]
        assert (copy.speed, copy.words, original(copy.speaker)) == (source.speed, source.words, source.speaker)
    assert all(40 < sum(copy.speed == speed for copy in copies.values()) < 95 for speed in (0.9, 1.0, 1.1))
    assert {original(name).rpartition("ann-")[2] for name in copies if name.startswith("noisy2-")} == {str(n) for n in range(100)}


def test_what_is_drawn_for_an_utterance_depends_on_its_id_and_the_seed_alone() -> None:
    recorded = {f"ann-{n}": Utterance(f"ann-{n}", "ann", Path("a.wav"), ()) for n in range(50)}
    copies = noisy_copies(recorded, [0.9, 1.1], 1, 7)
    assert set(noisy_copies({"ann-3": recorded["ann-3"]}, [1.1, 0.9], 1, 7)) < set(copies)
    assert set(noisy_copies(recorded, [0.9, 1.1], 1, 8)) != set(copies)
    assert set(noisy_copies(recorded, [], 1, 7)) == {f"noisy1-{name}" for name in recorded}
