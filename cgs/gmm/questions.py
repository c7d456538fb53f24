"""Questions about neighbouring phones, made from data: sets of phones that sound alike.

Phones are joined pair by pair, those whose joint Gaussian loses least likelihood first; every set on the way is a question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cgs.gmm.tree_stats import TreeStats, log_likelihood


def phone_questions(stats: TreeStats, groups: Sequence[Sequence[int]], pdf_class: int = 1) -> list[tuple[int, ...]]:
    """Sets of phones to ask about.

    Args:
        stats: sums of the training frames.
        groups: phones that always stay together, e.g. the positional variants of one; each is a question of its own.
        pdf_class: HMM position whose frames are compared, the middle one; a phone without it is compared by all of its frames.
    Returns: distinct sets as sorted tuples: the groups, then the joined sets from small to large, without the set of all phones.
    Source: Young, Odell and Woodland 1994 for tree questions; bottom-up instead of Kaldi's top-down clustering.
    """
    sums = [_sums(stats, group, pdf_class) for group in groups]
    counts = np.array([part[0] for part in sums])
    first, second = np.stack([part[1] for part in sums]), np.stack([part[2] for part in sums])
    sets: list[tuple[int, ...] | None] = [tuple(sorted(group)) for group in groups]
    questions = [phones for phones in sets if phones]
    alive = [index for index in range(len(groups)) if counts[index] > 0]
    own = log_likelihood(counts, first, second)
    while len(alive) > 2:
        one, other = _closest(alive, counts, first, second, own)
        counts[one] += counts[other]
        first[one] += first[other]
        second[one] += second[other]
        own[one] = log_likelihood(counts[one], first[one], second[one])
        joined = tuple(sorted((*(sets[one] or ()), *(sets[other] or ()))))
        sets[one], sets[other] = joined, None
        alive.remove(other)
        questions.append(joined)
    return list(dict.fromkeys(questions))


def _sums(stats: TreeStats, group: Sequence[int], pdf_class: int) -> tuple[float, np.ndarray, np.ndarray]:
    member = np.isin(stats.contexts[:, 1], list(group))
    middle = member & (stats.contexts[:, 3] == pdf_class)
    chosen = stats.where(middle if middle.any() else member)
    return float(chosen.counts.sum()), chosen.first.sum(axis=0), chosen.second.sum(axis=0)


def _closest(alive: list[int], counts: np.ndarray, first: np.ndarray, second: np.ndarray, own: np.ndarray) -> tuple[int, int]:
    rows = np.array(alive)
    joint = log_likelihood(counts[rows, None] + counts[rows], first[rows, None] + first[rows], second[rows, None] + second[rows])
    loss = own[rows, None] + own[rows] - joint
    loss[np.tril_indices(len(rows))] = np.inf
    place = int(np.argmin(loss))
    return alive[place // len(rows)], alive[place % len(rows)]
