"""HCLG and training graphs on a planted language: likelihoods that favour one state sequence give back its words."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import kaldi_hmm_gmm as khg
import kaldifst
import numpy as np
import pytest

from cgs.base.errors import DiskError, FormatError, ToolError, TrainError
from cgs.lang.grammar import make_grammar
from cgs.lang.graph import build_hclg, count_arcs, without_inputs
from cgs.lang.lang import Lang, write_fst
from cgs.lang.training_graph import TrainingGraphs

from .conftest import LEXICON, Model, monophone, triphone  # isort: skip

TEXT = [tuple(line.split()) for line in ("NO OAK", "A NO", "AN OAK", "ANNA NO OAK A", "NO", "OAK OAK NO A", "A A AN", "ANNA AN")]


def planted(lang: Lang, model: Model, phones: Sequence[str], frames_a_state: int = 2) -> np.ndarray:
    """Log-likelihoods (T, transition ids) float32 of a phone sequence: 0 on its states, -8 elsewhere."""
    numbers = [lang.phones[phone] for phone in phones]
    pdfs = []
    width, position = model.tree.context_width, model.tree.central_position
    for index, phone in enumerate(numbers):
        around = [numbers[index + k - position] if 0 <= index + k - position < len(numbers) else 0 for k in range(width)]
        states = (0, 1, 4) if phone in lang.silence_phones else (0, 1, 2)
        for state in states:
            found, pdf = model.tree.compute(around, state)
            assert found
            pdfs += [pdf] * frames_a_state
    scores = np.where(np.asarray(model.tid2pdf)[None, 1:] == np.array(pdfs)[:, None], 0.0, -8.0)
    return np.ascontiguousarray(scores.astype(np.float32))


def decode(lang: Lang, graph: kaldifst.StdVectorFst, scores: np.ndarray) -> tuple[list[str], list[int]]:
    decodable = khg.DecodableCtc(scores)
    decoder = khg.FasterDecoder(graph, khg.FasterDecoderOptions(beam=200.0))
    decoder.decode(decodable)
    ok, lattice = decoder.get_best_path()
    assert ok and decoder.reached_final()
    _, tids, words, _ = kaldifst.get_linear_symbol_sequence(lattice)
    return [lang.word_names[word] for word in words], tids


@pytest.mark.parametrize("make_model", [monophone, triphone])
@pytest.mark.parametrize(
    "words, phones",
    [
        (["NO", "OAK"], "SIL n o SIL o k SIL"),
        (["NO", "OAK"], "n a o o k"),
        (["A", "AN", "ANNA"], "a SIL a n SIL a n a"),
        (["AN", "A"], "a n SIL a"),
        (["ANNA"], "SIL a n a SIL"),
        ([], "SIL"),
    ],
)
def test_a_planted_path_gives_its_words(lang: Lang, make_model: Callable[[Lang], Model], words: list[str], phones: str) -> None:
    make_grammar(lang.directory, lang, TEXT, "train", 2)
    model = make_model(lang)
    graph = build_hclg(lang, lang.directory / "G.train.fst", model.tree, model.transitions)
    scores = planted(lang, model, phones.split())
    heard, tids = decode(lang, graph, scores)
    assert heard == words
    assert len(tids) == len(scores)
    assert all(scores[frame, tid - 1] == 0 for frame, tid in enumerate(tids))


def test_a_homophone_outside_the_vocabulary_is_never_said(lang: Lang) -> None:
    make_grammar(lang.directory, lang, TEXT, "train", 2)
    make_grammar(lang.directory, lang, [*TEXT, *[("KNOW",)] * 40], "lexicon", 1)
    model = monophone(lang)
    heard = {}
    for vocabulary in ("train", "lexicon"):
        graph = build_hclg(lang, lang.directory / f"G.{vocabulary}.fst", model.tree, model.transitions)
        heard[vocabulary] = decode(lang, graph, planted(lang, model, ["n", "o"]))[0]
    assert heard == {"train": ["NO"], "lexicon": ["KNOW"]}


def test_the_same_inputs_give_the_same_bytes(lang: Lang, tmp_path: Path) -> None:
    make_grammar(lang.directory, lang, TEXT, "train", 3)
    model = triphone(lang)
    for name in ("one", "two"):
        build_hclg(lang, lang.directory / "G.train.fst", model.tree, model.transitions).write(str(tmp_path / name))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_an_empty_graph_says_why(lang: Lang) -> None:
    empty = kaldifst.compile("0 1 99 99\n1\n", acceptor=False)
    empty.write(str(lang.directory / "G.train.fst"))
    model = monophone(lang)
    with pytest.raises(ToolError, match="LG is empty"):
        build_hclg(lang, lang.directory / "G.train.fst", model.tree, model.transitions)
    (lang.directory / "G.train.fst").write_bytes(b"no fst at all, only text that is long enough to be read")
    with pytest.raises(FormatError, match=r"G\.train\.fst: not a whole FST"):
        build_hclg(lang, lang.directory / "G.train.fst", model.tree, model.transitions)


def test_a_full_disk_is_told(lang: Lang) -> None:
    with pytest.raises(DiskError, match="could not be written as a whole"):
        write_fst(lang.lexicon_fst(), lang.directory / "no such folder" / "L.fst")


def test_removing_inputs_keeps_the_rest() -> None:
    fst = kaldifst.compile("0 1 5 1 0.5\n1 2 2 2 0.25\n2 1.0\n")
    kept = without_inputs(fst, [5], 3)
    _, inputs, outputs, weight = kaldifst.get_linear_symbol_sequence(kaldifst.shortest_path(kept))
    assert (inputs, outputs) == ([2], [1, 2]) and math.isclose(weight.value, 1.75) and count_arcs(kept) == 2


@pytest.mark.parametrize("make_model", [monophone, triphone])
def test_training_graphs_hold_the_transcript_and_nothing_else(lang: Lang, make_model: Callable[[Lang], Model]) -> None:
    model = make_model(lang)
    graphs = TrainingGraphs(lang, model.tree, model.transitions)
    for words in (["NO", "KNOW"], ["A"], ["<sil>"]):
        graph = graphs.weighted(graphs.compile(words))
        gc.collect()
        _, tids, labels, _ = kaldifst.get_linear_symbol_sequence(kaldifst.shortest_path(graph))
        assert [lang.word_names[label] for label in labels] == words
        phones = [lang.phone_names[model.transitions.transition_id_to_phone(tid)] for tid in tids]
        spoken = [phone for index, phone in enumerate(phones) if phone != "SIL" and (index == 0 or phones[index - 1] != phone)]
        assert spoken in ([list(p) for p in LEXICON[words[0]]] if words == ["A"] else [[], ["n", "o", "n", "o"]])


def test_an_unknown_word_becomes_noise_and_an_empty_transcript_is_an_error(lang: Lang) -> None:
    model = monophone(lang)
    graphs = TrainingGraphs(lang, model.tree, model.transitions)
    _, tids, labels, _ = kaldifst.get_linear_symbol_sequence(kaldifst.shortest_path(graphs.weighted(graphs.compile(["ZEBRA"]))))
    assert labels == [lang.unknown_word]
    assert lang.phones["SPN"] in {model.transitions.transition_id_to_phone(tid) for tid in tids}
    with pytest.raises(TrainError, match="spk-utt1: no graph for ''"):
        graphs.compile([], "spk-utt1")


def test_changed_probabilities_change_the_weights_only(lang: Lang) -> None:
    model = monophone(lang)
    graphs = TrainingGraphs(lang, model.tree, model.transitions)
    graph = graphs.compile(["ANNA"])
    before = kaldifst.get_linear_symbol_sequence(kaldifst.shortest_path(graphs.weighted(graph)))
    counts = np.ones(model.transitions.num_transition_ids + 1)
    counts[1::2] = 50
    model.transitions.mle_update(counts, khg.MleTransitionUpdateConfig())
    after = kaldifst.get_linear_symbol_sequence(kaldifst.shortest_path(graphs.weighted(graph)))
    assert before[2] == after[2] and before[3].value != after[3].value
