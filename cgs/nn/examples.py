"""What acoustic and keyword networks learn from, read from features and alignments: for training and for fine-tuning alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch

from cgs.base.files import read_json, read_lines
from cgs.base.options import KwsOptions, NnOptions
from cgs.data.copies import NOISY_SPLIT, SPEED_SPLIT, original
from cgs.feats.archive import read_archive
from cgs.feats.load import Cmvn, load_features, read_utt2spk
from cgs.gmm.adapted import training_features
from cgs.lang.tables import read_symbols
from cgs.nn.data import held_out_utterances
from cgs.nn.labels import CLASS_NAMES, OTHER_CLASS, SILENCE_CLASS, keyword_classes, keyword_ids, log_prior
from cgs.nn.sequence import mutual_information
from cgs.nn.system import View, make_examples
from cgs.nn.train import Examples
from cgs.nn.utterances import make_utterances

KEYWORD_KIND: Final = "mfcc"
KEYWORD_CMVN: Final = "global"
"""A detector cannot wait for a speaker's statistics, so features are normalised by those of the training split."""


def acoustic_cmvn(options: NnOptions) -> Cmvn:
    """How an acoustic network's features are normalised; adapted ones, whose speaker is normalised already, by the training split."""
    return "global" if options.features == "fmllr" else options.cmvn


@dataclass(frozen=True)
class AcousticMaterial:
    """What acoustic networks are trained on, read from an experiment.

    Args:
        features: {utterance: (T, D)} of the training split and its copies.
        pdfs: {utterance: (T,)}; copies of held-out utterances have none.
        held_out: utterances kept aside.
        prior: (P,) natural logarithm of the pdfs' priors.
        phones: CTM of the training split's phones, as aligned.
    """

    features: dict[str, np.ndarray]
    pdfs: dict[str, np.ndarray]
    held_out: set[str]
    prior: np.ndarray
    phones: Path


def acoustic_material(root: Path, options: NnOptions, labels: str = "4-align") -> AcousticMaterial:
    """Read features and alignments.

    Args:
        root: the experiment's directory, with stages 3 and 4 done.
        options: kind of features and share held out.
        labels: name of the unit that holds the alignments.
    Raises: DataError: missing or damaged.
    """
    feats = root / "3-feats"
    pdfs = read_archive(root / labels / "pdf_train.scp")
    prior = log_prior(pdfs, int(read_json(root / "4-align" / "align.json")["n_pdfs"]))
    held_out = held_out_utterances(read_utt2spk(feats / "utt2spk_train"), options.held_out_fraction)
    features = acoustic_features(root, "train", options)
    splits = read_json(feats / "feats.json")["splits"]
    if SPEED_SPLIT in splits:
        pdfs |= {name: labels for name, labels in read_archive(root / labels / f"pdf_{SPEED_SPLIT}.scp").items() if original(name) not in held_out}
        features |= acoustic_features(root, SPEED_SPLIT, options)
    if NOISY_SPLIT in splits:
        noisy = acoustic_features(root, NOISY_SPLIT, options)
        pdfs, features = pdfs | _noisy_labels(noisy, pdfs, held_out), features | noisy
    return AcousticMaterial(features, pdfs, held_out, prior, root / labels / "train.phones.ctm")


def acoustic_examples(material: AcousticMaterial, options: NnOptions, view: View | None = None) -> Examples:
    """Frames labelled with pdfs.

    Args:
        material: from `acoustic_material`.
        options: context.
        view: what the network sees; see `make_examples`.
    Raises: DataError, TrainError: features and alignments that do not fit each other, or too few.
    """
    return make_examples(material.features, material.pdfs, material.held_out, options.features, options, view=view)


def sequence_examples(root: Path, material: AcousticMaterial, options: NnOptions, view: View | None = None) -> Examples:
    """Whole utterances labelled with pdfs, and the objective of lattice-free maximum mutual information; arguments as for `acoustic_examples`."""
    view = view or View(options.left_context, options.right_context)
    sides = [{name: pdfs for name, pdfs in material.pdfs.items() if (name in material.held_out) == aside} for aside in (False, True)]
    training, held_out = (make_utterances(material.features, labels, view.left, view.right, not view.chunk_frames) for labels in sides)
    weights = options.sequence.acoustic_scale, options.sequence.cross_entropy
    objective = mutual_information(root / "4-align", root / "2-lang", material.phones, torch.from_numpy(material.prior), *weights)
    return Examples(training, held_out, options.features, objective)


def _noisy_labels(noisy: Iterable[str], labels: Mapping[str, np.ndarray], held_out: set[str]) -> dict[str, np.ndarray]:
    """Labels of the copies in noise and rooms: those of what they were made of, where that has labels and is not held out."""
    return {name: labels[original(name)] for name in noisy if original(name) in labels and original(name) not in held_out}


def acoustic_features(root: Path, split: str, options: NnOptions) -> dict[str, np.ndarray]:
    """{utterance: (T, D) float32} of the training split or its copies, normalised as acoustic networks take them."""
    if options.features == "fmllr":
        return training_features(root / "4-align", root / "3-feats", split)
    return load_features(root / "3-feats", options.features, split, acoustic_cmvn(options))


def keyword_examples(root: Path, options: KwsOptions, view: View | None = None) -> tuple[Examples, list[str]]:
    """Frames labelled with silence, other speech or a keyword.

    Args:
        root: the experiment's directory, with stages 1 to 4 done.
        options: context, share held out, and where in a keyword its label starts.
        view: what the network sees; see `make_examples`.
    Returns: the frames, and the names of the classes.
    Raises: DataError, TrainError: features and alignments that do not fit each other, or too few; a keyword outside the vocabulary.
    """
    feats = root / "3-feats"
    keywords = read_lines(root / "1-data" / "keywords.txt")
    class_of_word = keyword_ids(keywords, read_symbols(root / "2-lang" / "words.txt"))
    words = read_archive(root / "4-align" / "word_train.scp")
    features = load_features(feats, KEYWORD_KIND, "train", KEYWORD_CMVN)
    held_out = held_out_utterances(read_utt2spk(feats / "utt2spk_train"), options.held_out_fraction)
    splits = read_json(feats / "feats.json")["splits"]
    if NOISY_SPLIT in splits:
        noisy = load_features(feats, KEYWORD_KIND, NOISY_SPLIT, KEYWORD_CMVN)
        at_speeds = read_archive(root / "4-align" / f"word_{SPEED_SPLIT}.scp") if SPEED_SPLIT in splits else {}
        slow_or_fast = {name: ids for name, ids in at_speeds.items() if original(name) not in held_out}
        words, features = words | _noisy_labels(noisy, words | slow_or_fast, held_out), features | noisy
    labels = {utterance: keyword_classes(ids, class_of_word, options.min_keyword_overlap) for utterance, ids in words.items()}
    classes = [*CLASS_NAMES, *keywords]
    return make_examples(features, labels, held_out, KEYWORD_KIND, options, (SILENCE_CLASS, OTHER_CLASS), options.frame_stride, view), classes


def examples_for(root: Path, options: NnOptions | KwsOptions, view: View | None = None, labels: str = "4-align") -> Examples:
    """What a trained network of the task that the options belong to goes on learning from; acoustic ones from the alignments of the unit `labels`."""
    if isinstance(options, KwsOptions):
        return keyword_examples(root, options, view)[0]
    material = acoustic_material(root, options, labels)
    return sequence_examples(root, material, options, view) if options.sequence.epochs else acoustic_examples(material, options, view)
