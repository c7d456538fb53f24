"""ARPA files from outside, as several tools write them: what is read, what the recogniser's words get, and what is refused."""

from __future__ import annotations

import gzip
import itertools
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError, FormatError
from cgs.lang.arpa import read_arpa, write_arpa
from cgs.lang.external import read_external, restrict
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.ngram import Ngram
from cgs.lang.pruning import prune

TEXT = [tuple(line.split()) for line in ("a b a c", "a b", "b a b a d", "c", "a b a c a b", "d d d", "a a b c", "c b a", "a b e", "e a f", "g a b")]

SRILM = """
\\data\\
ngram 1=5
ngram 2=4

\\1-grams:
-0.7781513	</s>
-99	<s>	-0.30103
-0.4771213	A	-0.1249387
-0.4771213	B	-0.1249387
-0.7781513	C

\\2-grams:
-0.30103	<s> A
-0.60206	A </s>
-0.60206	A B
-0.30103	B A

\\end\\
"""
KENLM = """\\data\\
ngram 1=5
ngram 2=3
ngram 3=1

\\1-grams:
-1.2041199\t<unk>\t0
0\t<s>\t-0.30103
-0.60206\t</s>\t0
-0.37675\ta\t-0.2
-0.67778\tb\t-0.1

\\2-grams:
-0.4\t<s> a\t-0.1
-0.3\ta b\t0
-0.5\tb </s>\t0

\\3-grams:
-0.2\t<s> a b

\\end\\
"""
IRSTLM = """

\\data\\
ngram  1=         5
ngram  2=         2


\\1-grams:
-99.0000 <s> -0.2000
-0.5 a -0.3
-0.9 b -0.1
-0.7 <unk>
-0.6 </s>

\\2-grams:
-0.4 <s> a
-0.2 a b
\\end\\
"""
OPENSLR = """\\data\\
ngram 1=6
ngram 2=2
ngram 3=1

\\1-grams:
-1.0\t<UNK>
-99\t<s>\t-0.5
-0.9\t</s>
-0.5\tA\t-0.4
-0.8\tA'S\t-0.2
-inf\tZEBRA

\\2-grams:
-0.3 <s> A -0.1
-0.6 A A'S

\\3-grams:
-0.25 <s> A A'S

\\end\\
"""


def sum_after(model: Ngram, context: tuple[str, ...]) -> float:
    return sum(10 ** model.log10_of(gram[0], context) for gram in model.log10 if len(gram) == 1 and gram != ("<s>",))


@pytest.mark.parametrize(
    ("text", "words"), [(SRILM, "ABC"), (KENLM, "ab"), (IRSTLM, "ab"), (OPENSLR, ("A", "A'S"))], ids=["srilm", "kenlm", "irstlm", "openslr"]
)
@pytest.mark.parametrize("change", ["plain", "gzip", "dos", "one separator", "other separator"])
def test_files_as_tools_write_them(tmp_path: Path, text: str, words: tuple[str, ...], change: str) -> None:
    path = tmp_path / "g.arpa"
    changed = {"dos": text.replace("\n", "\r\n"), "one separator": text.replace("\t", " "), "other separator": text.replace(" ", "\t")}.get(change, text)
    if change == "other separator":
        changed = changed.replace("ngram\t1=", "ngram 1=")
    path.write_bytes(gzip.compress(changed.encode()) if change == "gzip" else changed.encode())
    found = read_external(path, {*words, "<unk>", "ABSENT"})
    whole = read_arpa(path)
    assert found.missing == ["ABSENT"] and found.n_mended == 0
    assert {gram[0] for gram in found.model.log10 if len(gram) == 1} == {*words, "<s>", "</s>"}
    known = [*words, "</s>"]
    for context in itertools.chain(*(itertools.product(["<s>", *words], repeat=length) for length in range(3))):
        told = {word: 10 ** whole.log10_of(word, context) for word in known}
        for word in known:
            assert 10 ** found.model.log10_of(word, context) == pytest.approx(told[word] / sum(told.values()), rel=1e-9)
    assert found.known_mass == pytest.approx(sum(10 ** whole.log10_of(word, ()) for word in known))


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.lists(st.sampled_from("abcd"), max_size=7).map(tuple), min_size=1, max_size=12),
    st.integers(1, 4),
    st.sets(st.sampled_from("abcd")),
    st.booleans(),
)
def test_known_words_keep_their_proportions(text: list[tuple[str, ...]], order: int, wanted: set[str], pruned: bool) -> None:
    whole = train_ngram(text, {*"abcd", "never"}, order)
    whole = prune(whole, 0.02) if pruned else whole
    model = restrict(whole, wanted | {"never"})
    known = [*wanted, "never", "</s>"]
    for context in itertools.chain(*(itertools.product(["<s>", *wanted], repeat=length) for length in range(4))):
        told = {word: 10 ** whole.log10_of(word, context) for word in known}
        for word in known:
            assert 10 ** model.log10_of(word, context) == pytest.approx(told[word] / sum(told.values()), rel=1e-7)


def test_weight_of_a_context_whose_words_are_all_unknown(tmp_path: Path) -> None:
    """ "b" is only ever followed by the unknown "z", but "a b" by known words: the weight of "b" still counts where "a b" backs off."""
    path = tmp_path / "g.arpa"
    unigrams = "-99 <s>\n-0.6 </s>\n-0.6 a -0.1\n-0.6 b -0.7\n-0.6 z\n"
    path.write_text(f"\\data\\\nngram 1=5\nngram 2=2\nngram 3=1\n\\1-grams:\n{unigrams}\\2-grams:\n-0.2 a b -0.3\n-0.1 b z\n\\3-grams:\n-0.4 a b a\n\\end\\\n")
    whole, model = read_arpa(path), read_external(path, {"a", "b"}).model
    told = {word: 10 ** whole.log10_of(word, ("a", "b")) for word in ("a", "b", "</s>")}
    for word, value in told.items():
        assert 10 ** model.log10_of(word, ("a", "b")) == pytest.approx(value / sum(told.values()))


def test_missing_contexts_are_mended(tmp_path: Path) -> None:
    path = tmp_path / "g.arpa"
    path.write_text(SRILM.replace("ngram 2=4\n", "ngram 2=4\nngram 3=1\n").replace("\\end\\", "\\3-grams:\n-0.5 C A B\n\\end\\"))
    found = read_external(path, set("ABC"))
    assert found.n_mended == 1 and ("C", "A") in found.model.log10
    assert sum_after(found.model, ("C", "A")) == pytest.approx(1) == pytest.approx(sum_after(found.model, ("C",)))


def test_case(tmp_path: Path) -> None:
    path = tmp_path / "g.arpa"
    path.write_text(SRILM)
    assert read_external(path, set("abc"), "lower").missing == []
    with pytest.raises(DataError, match=r'holds none of the 3 words.*lang\.case = "lower" it would hold 3'):
        read_external(path, set("abc"))
    path.write_text(SRILM.replace("\tC", "\tb"))
    with pytest.raises(DataError, match="'B' and 'b' both become 'b'"):
        read_external(path, set("abc"), "lower")
    path.write_text(OPENSLR)
    assert read_external(path, {"a", "a's"}, "lower").n_words == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("-0.60206	A B", "-0.60206	A"), r"g\.arpa:16: not an n-gram of length 2: '-0.60206\\tA'"),
        (("-0.60206	A B", "nan	A B"), r"g\.arpa:16: not an n-gram"),
        (("-0.60206	A B", "0.5	A B"), r"g\.arpa:16: not an n-gram"),
        (("-0.60206	A B", "-0.60206	B A"), r"g\.arpa:17: 'B A' is listed twice"),
        (("\\2-grams:", "\\3-grams:"), r"g\.arpa:13: neither a count"),
        (("ngram 2=4", "ngram two=4"), r"g\.arpa:4: neither a count"),
        (("ngram 2=4", "ngram 2=5"), r"g\.arpa: wrong n-gram counts: found \{1: 5, 2: 4\}, declared \{1: 5, 2: 5\}"),
        (("\\end\\", ""), r"g\.arpa: truncated"),
        (("\\data\\", "iARPA"), r"g\.arpa: not an ARPA file"),
        (("	</s>\n", "	E\n"), r"g\.arpa: has no </s>"),
    ],
)
def test_damaged_files_name_file_and_line(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    path = tmp_path / "g.arpa"
    path.write_text(SRILM.replace(*change))
    with pytest.raises(FormatError, match=message):
        read_external(path, set("ABC"))


def test_bytes_that_are_no_text(tmp_path: Path) -> None:
    path = tmp_path / "g.arpa"
    path.write_bytes(SRILM.replace("C", "\xe9").encode("latin-1"))
    with pytest.raises(FormatError, match=r"g\.arpa:11: not UTF-8"):
        read_external(path, set("ABC"))
    path.write_bytes(gzip.compress(SRILM.encode())[:-20])
    with pytest.raises(FormatError, match=r"g\.arpa: (damaged after line|truncated)"):
        read_external(path, set("ABC"))
    with pytest.raises(FormatError, match="no such file"):
        read_external(tmp_path / "none.arpa", {"A"})


def test_our_own_file_comes_back_as_it_was(tmp_path: Path) -> None:
    model = train_ngram(TEXT, set("abcdefg"), 3)
    write_arpa(tmp_path / "g.arpa", model)
    again = read_external(tmp_path / "g.arpa", set("abcdefg")).model
    assert again.log10.keys() == model.log10.keys()
    assert all(again.log10[gram] == pytest.approx(model.log10[gram], abs=1e-5) for gram in model.log10)
