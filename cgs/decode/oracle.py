"""How good the best path of a lattice could be: the fewest errors of any of its word sequences."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import numpy as np

from cgs.decode.word_lattice import WordLattice


def oracle_errors(lattice: WordLattice, reference: Sequence[int], free: Collection[int] = ()) -> int:
    """The smallest edit distance between a reference and the paths of a lattice.

    Args:
        lattice: whatever its costs.
        reference: word ids; one that the lattice cannot have, e.g. -1, stands for an unknown word.
        free: words of the lattice that do not count, e.g. silence.
    Source: Kaldi's lattice-oracle.
    """
    places = np.asarray(reference, dtype=np.int64)
    deleted = np.arange(len(places) + 1)
    errors = np.full((len(lattice.frame), len(places) + 1), np.iinfo(np.int32).max, dtype=np.int64)
    errors[0] = deleted
    silent = np.isin(lattice.word, list(free))[:, None]
    for arcs in lattice.levels:
        before, word = errors[lattice.source[arcs]], lattice.word[arcs, None]
        reached = before + 1
        reached[:, 1:] = np.minimum(reached[:, 1:], before[:, :-1] + (word != places))
        reached = np.where(silent[arcs], before, reached)
        np.minimum.at(errors, lattice.target[arcs], np.minimum.accumulate(reached - deleted, axis=1) + deleted)
    return int(errors[np.isfinite(lattice.final), -1].min())
