"""A decoding graph as arrays, for what walks over all of its arcs."""

from __future__ import annotations

import struct
import tempfile
from dataclasses import dataclass
from pathlib import Path

import kaldifst
import numpy as np

from cgs.base.errors import FormatError

MAGIC = 2125659606
ALIGNED = 4
STATE = np.dtype([("final", "<f4"), ("first", "<u4"), ("n_arcs", "<u4"), ("n_input_epsilons", "<u4"), ("n_output_epsilons", "<u4")])
ARC = np.dtype([("ilabel", "<i4"), ("olabel", "<i4"), ("weight", "<f4"), ("nextstate", "<i4")])


@dataclass(frozen=True)
class GraphArrays:
    """Arcs in the order of their source states.

    Args:
        start: number of the start state.
        first: (N + 1,) int64, where the arcs of each of the N states begin.
        final: (N,) float32, cost of ending in a state; infinite where it is not final.
        ilabel, olabel, target: (A,) int32, labels and next state of each arc.
        weight: (A,) float32, cost.
    """

    start: int
    first: np.ndarray
    final: np.ndarray
    ilabel: np.ndarray
    olabel: np.ndarray
    weight: np.ndarray
    target: np.ndarray

    def select(self, chosen: np.ndarray) -> GraphArrays:
        """The graph with some arcs only, (A,) bool."""
        kept = np.concatenate([[0], np.cumsum(chosen)])
        return GraphArrays(
            self.start, kept[self.first], self.final, self.ilabel[chosen], self.olabel[chosen], self.weight[chosen], self.target[chosen]
        )

    def leaving(self, states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Arcs that leave some states: (index into `states`, arc), int64, in the order of `states`."""
        counts = self.first[states + 1] - self.first[states]
        ends = np.cumsum(counts)
        which = np.repeat(np.arange(len(states)), counts)
        return which, np.arange(len(which)) + (self.first[states] - ends + counts)[which]


def graph_arrays(graph: kaldifst.StdConstFst) -> GraphArrays:
    """Read the arcs of a graph, at the speed of a file: a walk over them through the binding takes a microsecond an arc.

    Source: OpenFst's const-fst.h, the layout of a ConstFst of version 2.
    Raises: FormatError: another layout.
    """
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.fst"
        graph.write(str(path))
        content = path.read_bytes()
    kinds, at = [], 4
    for _ in range(2):
        (length,) = struct.unpack_from("<i", content, at)
        kinds.append(content[at + 4 : at + 4 + length].decode())
        at += 4 + length
    version, flags, _, start, n_states, n_arcs = struct.unpack_from("<iiQqqq", content, at)
    at += 40
    if struct.unpack_from("<i", content)[0] != MAGIC or kinds != ["const", "standard"] or version != 2 or flags & (1 | 2 | ALIGNED):
        raise FormatError(f"graph of kind {kinds}, version {version}, flags {flags}", "use the locked version of kaldifst")
    states = np.frombuffer(content, STATE, n_states, at)
    arcs = np.frombuffer(content, ARC, n_arcs, at + n_states * STATE.itemsize)
    first = np.append(states["first"], n_arcs).astype(np.int64)
    columns = (np.ascontiguousarray(arcs[name]) for name in ("ilabel", "olabel", "weight", "nextstate"))
    return GraphArrays(start, first, np.ascontiguousarray(states["final"]), *columns)
