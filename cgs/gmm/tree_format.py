"""Kaldi's binary form of a decision tree, written here and read by the library and by Kaldi."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from cgs.base.errors import FormatError
from cgs.gmm.tree import DecisionTree, Node

PDF_CLASS = -1
"""Key of the HMM position in Kaldi's event maps."""
WIDTH, CENTRAL = 3, 1
HEADER = b"\0B"


def tree_bytes(tree: DecisionTree) -> bytes:
    """Kaldi's ContextDependency without the binary header: a table over central phones, of tables over HMM positions, of questions.

    Source: Kaldi, tree/event-map.cc and tree/context-dep.cc (format only).
    """
    by_phone: dict[int, dict[int, Node]] = {}
    for (phone, pdf_class), node in tree.roots.items():
        by_phone.setdefault(phone, {})[pdf_class] = node
    tables = [_positions(by_phone.get(phone)) for phone in range(max(by_phone) + 1)]
    return b"ContextDependency " + _int(WIDTH) + _int(CENTRAL) + b"ToPdf " + _table(CENTRAL, tables) + b"EndContextDependency "


def context_dependency(data: bytes) -> Any:
    """The library's kaldi_hmm_gmm.ContextDependency of a tree's bytes. Raises: FormatError: not a tree."""
    import kaldi_hmm_gmm as khg

    if not data.startswith(b"ContextDependency ") or not data.endswith(b"EndContextDependency "):
        raise FormatError("not a decision tree in Kaldi's binary form", "remove the model and run stage 4 again")
    dependency = khg.ContextDependency.__new__(khg.ContextDependency)
    dependency.__setstate__((np.frombuffer(data, dtype=np.int8).tolist(),))
    return dependency


def _int(value: int) -> bytes:
    return b"\4" + struct.pack("<i", value)


def _table(key: int, entries: list[bytes]) -> bytes:
    return b"TE " + _int(key) + b"\xfc" + struct.pack("<I", len(entries)) + b"( " + b"".join(entries) + b") "


def _positions(roots: dict[int, Node] | None) -> bytes:
    return _table(PDF_CLASS, [_questions(node) for _, node in sorted(roots.items())]) if roots else b"NULL "


def _questions(node: Node) -> bytes:
    if node.yes is None or node.no is None:
        return b"CE " + _int(node.pdf)
    phones = b"\4" + struct.pack(f"<i{len(node.phones)}i", len(node.phones), *sorted(node.phones))
    return b"SE " + _int(node.position) + phones + b"{ " + _questions(node.yes) + _questions(node.no) + b"} "
