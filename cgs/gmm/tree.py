"""The phonetic decision tree: which HMM states of which triphones share a pdf.

One root for each phone group and HMM position; the split that gains most likelihood anywhere is made first."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from cgs.base.errors import TrainError
from cgs.gmm.tree_stats import TreeStats, log_likelihood

LEFT, CENTRE, RIGHT = 0, 1, 2


@dataclass
class Node:
    """A leaf (pdf >= 0) or a question: is the phone at `position` one of `phones`?"""

    position: int = -1
    phones: tuple[int, ...] = ()
    yes: Node | None = None
    no: Node | None = None
    pdf: int = -1


@dataclass(frozen=True)
class DecisionTree:
    """Roots by (phone, pdf class); phones of one group share theirs.

    Args:
        roots: {(phone, pdf class): root}.
        n_pdfs: number of leaves.
        gain: log-likelihood won by all splits.
    """

    roots: dict[tuple[int, int], Node]
    n_pdfs: int
    gain: float

    def pdf(self, left: int, centre: int, right: int, pdf_class: int) -> int:
        """The pdf of one HMM state in one context."""
        context = (left, centre, right)
        node = self.roots[centre, pdf_class]
        while node.yes is not None and node.no is not None:
            node = node.yes if context[node.position] in node.phones else node.no
        return node.pdf

    def pdfs(self, contexts: np.ndarray) -> np.ndarray:
        """(K,) pdfs of contexts (K, 4) as in `TreeStats`."""
        return np.array([self.pdf(*row) for row in contexts.tolist()], dtype=np.int32).reshape(-1)


@dataclass(frozen=True)
class Split:
    """A question and what it gains; gain 0 and no phones where nothing may be split."""

    gain: float = 0.0
    position: int = -1
    phones: tuple[int, ...] = ()


@dataclass(frozen=True)
class TreeOptions:
    """Limits of growth.

    Args:
        n_leaves: at most; one for each root there are always.
        min_gain: log-likelihood a split must win.
        min_count: frames on either side of a split.
    """

    n_leaves: int
    min_gain: float = 200.0
    min_count: float = 30.0


def monophone_tree(roots: Sequence[tuple[Sequence[int], int]]) -> DecisionTree:
    """A tree without questions: one pdf for each (phone group, pdf class)."""
    return _numbered([(list(phones), pdf_class, Node()) for phones, pdf_class in roots], 0.0)


def grow(
    stats: TreeStats, roots: Sequence[tuple[Sequence[int], int]], unsplit: Sequence[int], questions: Sequence[tuple[int, ...]], options: TreeOptions
) -> DecisionTree:
    """Grow the tree, best split first.

    Args:
        stats: sums of the training frames.
        roots: (phone group, pdf class), each a tree of its own.
        unsplit: phones whose roots stay leaves, i.e. silence.
        questions: sets of phones; asked of either neighbour, and of the centre where a root holds several phones.
        options: limits.
    Raises: TrainError: more roots than leaves are allowed.
    Source: Young, Odell and Woodland 1994. Differs: no clustering of the leaves afterwards.
    """
    if len(roots) > options.n_leaves:
        raise TrainError(f"{options.n_leaves} leaves for a tree of {len(roots)} roots", "raise align.n_leaves")
    table = question_table(questions, int(max(stats.contexts[:, :3].max(initial=0), max(max(phones) for phones, _ in roots))) + 1)
    grown = [(list(phones), pdf_class, Node()) for phones, pdf_class in roots]
    heap: list[tuple[float, int, Node, TreeStats, Split]] = []
    order = iter(range(1 << 60))

    def consider(node: Node, rows: TreeStats, positions: tuple[int, ...]) -> None:
        best = best_split(rows, questions, table, positions, options.min_count)
        if best.gain > options.min_gain:
            heapq.heappush(heap, (-best.gain, next(order), node, rows, best))

    for phones, pdf_class, node in grown:
        if not set(phones) & set(unsplit):
            rows = stats.where(np.isin(stats.contexts[:, CENTRE], phones) & (stats.contexts[:, 3] == pdf_class))
            consider(node, rows, (LEFT, RIGHT) if len(phones) == 1 else (LEFT, CENTRE, RIGHT))
    return _numbered(grown, _split_best_first(heap, len(grown), options.n_leaves, consider))


def _split_best_first(heap: list, n_leaves: int, limit: int, consider: Callable[[Node, TreeStats, tuple[int, ...]], None]) -> float:
    total = 0.0
    while heap and n_leaves < limit:
        gain, _, node, rows, best = heapq.heappop(heap)
        total -= gain
        n_leaves += 1
        node.position, node.phones, node.yes, node.no = best.position, best.phones, Node(), Node()
        said_yes = np.isin(rows.contexts[:, best.position], best.phones)
        positions = (LEFT, RIGHT) if len(np.unique(rows.contexts[:, CENTRE])) == 1 else (LEFT, CENTRE, RIGHT)
        consider(node.yes, rows.where(said_yes), positions)
        consider(node.no, rows.where(~said_yes), positions)
    return total


def question_table(questions: Sequence[tuple[int, ...]], n_phones: int) -> np.ndarray:
    """(Q, n_phones) float64: 1 where the phone is in the question's set."""
    table = np.zeros((len(questions), n_phones))
    for row, phones in enumerate(questions):
        table[row, [phone for phone in phones if phone < n_phones]] = 1.0
    return table


def best_split(stats: TreeStats, questions: Sequence[tuple[int, ...]], table: np.ndarray, positions: Sequence[int], min_count: float) -> Split:
    """The question that gains most log-likelihood, over all positions; the first one where several gain the same.

    Args:
        stats: sums of the leaf's frames.
        questions, table: the sets of phones and their `question_table`.
        positions: which neighbours may be asked about.
        min_count: frames needed on either side.
    """
    best = Split()
    if not len(stats.counts) or not len(table):
        return best
    sums = np.concatenate([stats.counts[:, None], stats.first, stats.second], axis=1)
    total = sums.sum(axis=0)
    whole = _likelihood(total)
    for position in positions:
        by_phone = np.zeros((table.shape[1], sums.shape[1]))
        np.add.at(by_phone, stats.contexts[:, position], sums)
        yes = table @ by_phone
        gains = _likelihood(yes) + _likelihood(total - yes) - whole
        gains[(yes[:, 0] < min_count) | (total[0] - yes[:, 0] < min_count)] = -np.inf
        chosen = int(np.argmax(gains))
        if gains[chosen] > best.gain:
            best = Split(float(gains[chosen]), position, questions[chosen])
    return best


def _likelihood(sums: np.ndarray) -> np.ndarray:
    dim = (sums.shape[-1] - 1) // 2
    return log_likelihood(sums[..., 0], sums[..., 1 : 1 + dim], sums[..., 1 + dim :])


def _numbered(grown: Sequence[tuple[list[int], int, Node]], gain: float) -> DecisionTree:
    count = 0

    def number(node: Node) -> None:
        nonlocal count
        if node.yes is not None and node.no is not None:
            number(node.yes)
            number(node.no)
        else:
            node.pdf = count
            count += 1

    roots = {}
    for phones, pdf_class, node in grown:
        number(node)
        roots.update({(phone, pdf_class): node for phone in phones})
    return DecisionTree(roots, count, gain)
