"""What a frame is called: from word alignments to keyword classes, from pdf alignments to priors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from cgs.base.errors import DataError
from cgs.nn.data import NO_LABEL

SILENCE_CLASS, OTHER_CLASS, FIRST_KEYWORD_CLASS = 0, 1, 2
CLASS_NAMES = ("<silence>", "<other>")
MIN_PRIOR_FRAMES = 10.0
"""A pdf is taken to have at least so many training frames, or its posterior would be divided by almost nothing."""


def keyword_classes(words: np.ndarray, class_of_word: Mapping[int, int], min_overlap: float) -> np.ndarray:
    """Class of every frame of an utterance.

    Args:
        words: (T,) word id of each frame, 0 for silence.
        class_of_word: class of each keyword's id, from FIRST_KEYWORD_CLASS on.
        min_overlap: a keyword's frames before this share of it get NO_LABEL: too little of the word is in view yet
            to tell it from others, and calling it other speech would be wrong.
    Returns: (T,) int64: silence, other speech, a keyword, or NO_LABEL.
    Differs: a keyword said twice without a pause is one long segment, because the alignment holds words, not occurrences.
    """
    labels = np.where(words == 0, SILENCE_CLASS, OTHER_CLASS).astype(np.int64)
    edges = np.flatnonzero(np.diff(words)) + 1
    for start, end in zip([0, *edges.tolist()], [*edges.tolist(), len(words)], strict=True):
        label = class_of_word.get(int(words[start])) if end > start else None
        if label is not None:
            first = start + int(np.ceil(min_overlap * (end - start) - 1e-9))
            labels[start:first] = NO_LABEL
            labels[min(first, end - 1) : end] = label
    return labels


def keyword_ids(keywords: Sequence[str], symbols: Mapping[str, int]) -> dict[int, int]:
    """{word id: class} of the keywords. Raises: DataError: a keyword is not in the vocabulary."""
    missing = [word for word in keywords if word not in symbols]
    if missing or not keywords:
        raise DataError(f"keywords {' '.join(missing)} are not in words.txt" if missing else "no keywords", "list words of the training text in keywords.txt")
    return {symbols[word]: FIRST_KEYWORD_CLASS + index for index, word in enumerate(keywords)}


def log_prior(labels: Mapping[str, np.ndarray], n_pdfs: int) -> np.ndarray:
    """(P,) float64 natural logarithm of each pdf's share of the aligned frames, floored.

    Raises: DataError: a pdf-id that the model does not have.
    """
    counts = np.zeros(n_pdfs)
    for utterance, pdfs in labels.items():
        if len(pdfs) and not 0 <= pdfs.min() <= pdfs.max() < n_pdfs:
            raise DataError(f"{utterance}: pdf-ids {pdfs.min()} to {pdfs.max()} where the model has {n_pdfs}", "run stage 4 again")
        counts += np.bincount(pdfs, minlength=n_pdfs)
    floored = np.maximum(counts, MIN_PRIOR_FRAMES)
    return np.log(floored / floored.sum())
