"""What networks learn from: copies at other speeds, in noise and in rooms are trained on, unless their original is held out."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from cgs.base.files import write_json, write_text
from cgs.base.options import KwsOptions, NnOptions
from cgs.feats.archive import write_archive
from cgs.nn.data import held_out_utterances
from cgs.nn.examples import acoustic_examples, acoustic_material, keyword_examples

OPTIONS = NnOptions(left_context=0, right_context=0, held_out_fraction=0.2)
SPEAKERS = {f"s{speaker}-{index}": f"s{speaker}" for speaker in range(5) for index in range(2)}


COPIES = {"train": {"": 10}, "train_sp": {"sp0.9-": 11}, "train_noisy": {"noisy1-": 10, "noisy2-sp0.9-": 11}}
"""Prefixes of the copies of each split, and their frames: a noisy copy has those of what it was made of."""


def planted(root: Path, splits: tuple[str, ...], kind: str = "fbank") -> None:
    """An experiment with features and alignments; frame t of a clean utterance has the label t % 3 + 3 * (is it a copy at another speed)."""
    feats, align = root / "3-feats", root / "4-align"
    stats = np.array([[0.0, 0, 400], [400, 400, 0]])
    for split in splits:
        lengths = {prefix + utterance: length for prefix, length in COPIES[split].items() for utterance in SPEAKERS}
        speakers = {prefix + utterance: prefix + speaker for prefix in COPIES[split] for utterance, speaker in SPEAKERS.items()}
        write_archive(feats / kind, split, [(name, np.ones((lengths[name], 2), dtype=np.float32)) for name in sorted(lengths)])
        write_archive(feats / kind, f"cmvn_{split}", [(speaker, stats) for speaker in sorted(set(speakers.values()))])
        write_text(feats / f"utt2spk_{split}", "".join(f"{name} {speaker}\n" for name, speaker in speakers.items()))
        if split != "train_noisy":
            labels = [(name, (np.arange(lengths[name]) % 3 + 3 * (split == "train_sp")).astype(np.int32)) for name in sorted(lengths)]
            write_archive(align, f"pdf_{split}", labels)
            write_archive(align, f"word_{split}", labels)
    write_archive(feats / kind, "cmvn_global", [("global", stats)])
    write_json(feats / "feats.json", {"splits": {split: {} for split in splits}})
    write_json(align / "align.json", {"n_pdfs": 6})


def test_copies_of_held_out_utterances_are_seen_by_neither_side(tmp_path: Path) -> None:
    planted(tmp_path, ("train", "train_sp"))
    material = acoustic_material(tmp_path, OPTIONS)
    examples, prior = acoustic_examples(material, OPTIONS), material.prior
    held_out = held_out_utterances(SPEAKERS, 0.2)
    assert len(held_out) == 2
    assert len(examples.held_out) == 2 * 10
    assert len(examples.training) == 8 * (10 + 11)
    np.testing.assert_allclose(np.exp(prior).sum(), 1)


def test_noisy_copies_have_the_labels_of_what_they_were_made_of(tmp_path: Path) -> None:
    planted(tmp_path, ("train", "train_sp", "train_noisy"))
    examples = acoustic_examples(acoustic_material(tmp_path, OPTIONS), OPTIONS)
    assert len(examples.held_out) == 2 * 10
    slow = np.arange(11) % 3 + 3
    once = np.concatenate([np.tile(np.arange(10) % 3, 8), np.tile(slow, 8)])
    expected = np.concatenate([once, np.tile(np.arange(10) % 3, 8), np.tile(slow, 8)])  # noisy1-..., noisy2-..., s..., sp0.9-...
    np.testing.assert_array_equal(examples.training.labels, expected)


def test_a_noisy_copy_of_what_has_no_alignment_is_left_out(tmp_path: Path) -> None:
    planted(tmp_path, ("train", "train_noisy"))
    examples = acoustic_examples(acoustic_material(tmp_path, OPTIONS), OPTIONS)
    assert len(examples.training) == 8 * (10 + 10)


def test_keyword_networks_learn_from_noisy_copies_but_not_from_speeds_alone(tmp_path: Path) -> None:
    write_text(tmp_path / "1-data" / "keywords.txt", "yes\n")
    write_text(tmp_path / "2-lang" / "words.txt", "<eps> 0\nno 1\nyes 2\nmaybe 3\n")
    options = KwsOptions(left_context=0, right_context=0, held_out_fraction=0.2)
    for splits, copies in ((("train", "train_sp"), 0), (("train", "train_sp", "train_noisy"), 8 * 21)):
        planted(tmp_path / splits[-1], splits, "mfcc")
        for name in ("1-data", "2-lang"):
            (tmp_path / splits[-1] / name).symlink_to(tmp_path / name)
        examples, classes = keyword_examples(tmp_path / splits[-1], options)
        assert classes[2:] == ["yes"] and len(examples.held_out) == 2 * 10
        assert len(examples.training) == 8 * 10 + copies
