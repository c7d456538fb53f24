"""A planted language: six words, homophones and prefixes among them, and trees of one and three phones over it."""

from __future__ import annotations

import struct
from pathlib import Path

import kaldi_hmm_gmm as khg
import pytest

from cgs.data.lexicon import Pronunciations
from cgs.lang.lang import Lang, load_lang, make_lang

LEXICON: Pronunciations = {
    "A": [("a",)],
    "AN": [("a", "n")],
    "ANNA": [("a", "n", "a")],
    "NO": [("n", "o"), ("n", "a", "o")],
    "KNOW": [("n", "o")],
    "OAK": [("o", "k")],
}


@pytest.fixture
def lang(tmp_path: Path) -> Lang:
    make_lang(tmp_path / "lang", LEXICON, 0.5)
    return load_lang(tmp_path / "lang")


class Model:
    """A tree and its transition model, kept alive together."""

    def __init__(self, lang: Lang, tree: khg.ContextDependency) -> None:
        self.tree, self.topology = tree, lang.topology()
        self.transitions = khg.TransitionModel(tree, self.topology)
        self.tid2pdf = self.transitions.transition_id_to_pdf_array()


def monophone(lang: Lang) -> Model:
    return Model(lang, khg.monophone_context_dependency(lang.real_phones, lang.topology().get_phone_to_num_pdf_classes()))


def triphone(lang: Lang) -> Model:
    """Each state of "a" and "n" has a pdf of its own after "n" and "k", another one elsewhere."""
    split_on = [lang.phones["n"], lang.phones["k"]]
    n_classes = lang.topology().get_phone_to_num_pdf_classes()
    next_pdf = iter(range(1000))

    def token(text: str) -> bytes:
        return f"{text} ".encode()

    def number(value: int) -> bytes:
        return b"\4" + struct.pack("<i", value)

    def leaf() -> bytes:
        return token("CE") + number(next(next_pdf))

    def split() -> bytes:
        yes = struct.pack("<i", len(split_on)) + b"".join(struct.pack("<i", phone) for phone in sorted(split_on))
        return token("SE") + number(0) + b"\4" + yes + token("{") + leaf() + leaf() + token("}")

    def table(key: int, entries: list[bytes]) -> bytes:
        return token("TE") + number(key) + b"\xfc" + struct.pack("<I", len(entries)) + token("(") + b"".join(entries) + token(")")

    by_phone = [token("NULL") for _ in range(max(lang.real_phones) + 1)]
    for phone in lang.real_phones:
        divided = phone in (lang.phones["a"], lang.phones["n"])
        by_phone[phone] = table(-1, [split() if divided else leaf() for _ in range(n_classes[phone])])
    body = token("ContextDependency") + number(3) + number(1) + token("ToPdf") + table(1, by_phone) + token("EndContextDependency")
    tree = khg.ContextDependency.__new__(khg.ContextDependency)
    tree.__setstate__(([byte - 256 if byte > 127 else byte for byte in body],))
    return Model(lang, tree)
