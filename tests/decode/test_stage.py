"""Stage 8 on a planted experiment: features name their pdf, so what is recognised is known; one transcript is wrong on purpose."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from cgs.base.errors import DataError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json, write_text
from cgs.base.options import Recipe
from cgs.base.unit import Unit
from cgs.data.audio import write_wav
from cgs.data.corpus import Utterance
from cgs.data.datadir import write_data_dir
from cgs.decode.graph import make_graph
from cgs.decode.lattice_recogniser import LatticeRecogniser
from cgs.decode.recogniser import Recogniser
from cgs.feats.archive import write_archive
from cgs.gmm.gaussians import from_moments
from cgs.gmm.model import AcousticGmm
from cgs.gmm.train import lang_topology, roots
from cgs.gmm.tree import monophone_tree
from cgs.gmm.tree_format import tree_bytes
from cgs.lang.arpa import read_arpa, write_arpa
from cgs.lang.grammar import write_grammar
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.lang import Lang, load_lang
from cgs.nn.network import NetworkSpec, build_network, save_network
from cgs.quant.build import choose_formats, quantise, sample_activations
from cgs.quant.packed import write_packed
from cgs.stages import decode, lang

RATE, STATE_FRAMES = 8000, 4
LEXICON = {"yes": ["Y", "E"], "no": ["N", "O"], "maybe": ["M", "A"]}
SPOKEN = {"dev": ["yes no", "no no yes", "yes"], "test": ["no yes", "yes yes no", "no", "yes no"], "test_two": ["no", "yes"]}
WRONG = {"test-3": "yes yes"}
"""Transcripts that differ from what is said."""


def recipe(**changes: object) -> Recipe:
    tables = {
        "recipe": {"name": "planted", "title": "planted"},
        "corpus": {"licence": "none", "attribution": "nobody"},
        "data": {"sample_rate": RATE},
        "lang": {"vocabularies": ["train", "lexicon"], "ngram_order": 2},
        "kws": {"smooth_frames": 4, "left_context": 0, "right_context": 0},
        "decode": {"acoustic_scales": [0.5, 1.0, 2.0], "gmm_acoustic_scales": [1.0], "insertion_penalties": [0.0, 1.0]},
        "report": {"bootstrap": 50},
        "systems": {
            "full": {"task": "asr", "method": "dense", "hidden": [8], "seeds": [1, 2]},
            "spot": {"task": "kws", "method": "dense", "hidden": [8]},
        },
    }
    return Recipe.model_validate(tables | changes)


def unit(root: Path, name: str) -> Unit:
    return Unit(root, name, {}, [], [])


def make_data(root: Path) -> None:
    with unit(root, "1-data").writing() as out:
        for split, sentences in SPOKEN.items():
            utterances = []
            for index, words in enumerate(sentences):
                wav, name = root / "audio" / f"{split}-{index}.wav", f"{split}-{index}"
                write_wav(wav, np.random.default_rng(index).standard_normal(RATE) * 0.1, RATE)
                utterances.append(Utterance(name, name, wav, tuple(WRONG.get(name, words).split())))
            write_data_dir(out / split, utterances, {u.id: 1.0 for u in utterances})
        write_text(out / "lexicon.txt", "".join(f"{word} {' '.join(phones)}\n" for word, phones in sorted(LEXICON.items())))
        write_text(out / "lm.txt", "yes no\nno yes\nyes\nno no\nyes yes\nno\n")
        write_text(out / "keywords.txt", "yes\nno\n")
        write_json(out / "data.json", {"splits": {"train": {}} | {split: {} for split in SPOKEN}})


def make_gmm(root: Path, lang_: Lang) -> AcousticGmm:
    """Monophones whose pdf p is a Gaussian around the unit vector p; derivatives are ignored."""
    tree = monophone_tree(roots(lang_))
    n_pdfs = tree.n_pdfs
    means = np.concatenate([np.eye(n_pdfs), np.zeros((n_pdfs, 2 * n_pdfs))], axis=1)
    variances = np.concatenate([np.full((n_pdfs, n_pdfs), 0.05), np.full((n_pdfs, 2 * n_pdfs), 100.0)], axis=1)
    gmm = AcousticGmm(tree_bytes(tree), lang_topology(lang_), from_moments(np.ones(n_pdfs), means, variances, np.arange(n_pdfs + 1)))
    with unit(root, "4-align").writing() as out:
        gmm.save(out)
    return gmm


def frames_of(words: str, lang_: Lang, gmm: AcousticGmm) -> np.ndarray:
    """(T, P): each state of each phone for some frames, silence around the sentence."""
    table, phones = gmm.transitions, [lang_.silence_phone]
    for word in words.split():
        phones += [lang_.phones[phone] for phone in LEXICON[word]]
    pdfs = []
    for phone in [*phones, lang_.silence_phone]:
        states = {int(c): int(p) for c, p, f in zip(table.pdf_class, table.pdf, table.phone, strict=True) if f == phone}
        pdfs += [states[c] for c in sorted(states) for _ in range(STATE_FRAMES)]
    return np.eye(gmm.n_pdfs, dtype=np.float32)[pdfs]


def make_features(root: Path, lang_: Lang, gmm: AcousticGmm) -> None:
    statistics = np.array([[0.0] * gmm.n_pdfs + [1e6], [1e6] * gmm.n_pdfs + [0.0]])
    with unit(root, "3-feats").writing() as out:
        for kind in ("mfcc", "fbank"):
            write_archive(out / kind, "cmvn_global", [("global", statistics)], root / "3-feats" / kind)
            for split, sentences in SPOKEN.items():
                names = [f"{split}-{index}" for index in range(len(sentences))]
                rows = [(name, frames_of(words, lang_, gmm)) for name, words in zip(names, sentences, strict=True)]
                write_archive(out / kind, split, rows, root / "3-feats" / kind)
                write_archive(out / kind, f"cmvn_{split}", [(name, statistics) for name in names], root / "3-feats" / kind)
                write_text(out / f"utt2spk_{split}", "".join(f"{name} {name}\n" for name in names))


def make_network(root: Path, task: str, system: str, seed: int, weight: np.ndarray, meta: dict) -> None:
    """A network that computes logits 10 * weight @ frame, and its packed model."""
    n_out, n_in = weight.shape
    network = build_network(NetworkSpec(n_in=n_in, hidden=(n_in,), n_out=n_out))
    with torch.no_grad():
        network.layers[0].weight.copy_(torch.eye(n_in))
        network.layers[1].weight.copy_(torch.from_numpy(10 * weight))
    facts = {"task": task, "features": {"kind": "fbank" if task == "asr" else "mfcc", "cmvn": "speaker", "left": 0, "right": 0}} | meta
    with unit(root, f"{'5-acoustic' if task == 'asr' else '6-keyword'}/{system}/seed{seed}").writing() as out:
        save_network(out, network, facts)
    frames = torch.eye(n_in)
    formats = choose_formats(network, sample_activations(network, frames), 8, recipe().pack)
    with unit(root, f"7-pack/{system}/seed{seed}").writing() as out:
        write_packed(out / "model.cgs", quantise(network, formats, {}))


def keyword_weight(lang_: Lang, gmm: AcousticGmm) -> np.ndarray:
    """(4, P): silence, other speech, "yes" and "no", told by the phones that only they have."""
    weight = np.zeros((4, gmm.n_pdfs), dtype=np.float32)
    for phone, pdf in zip(gmm.transitions.phone[1:], gmm.transitions.pdf[1:], strict=True):
        name = lang_.phone_names[int(phone)]
        weight[{"SIL": 0, "Y": 2, "E": 2, "N": 3, "O": 3}.get(name, 1), pdf] = 1
    return weight


def in_process(function, items, names, n_jobs, log_dir):
    return [function(pickle.loads(pickle.dumps(item))) for item in items]


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Experiment]:
    root = tmp_path_factory.mktemp("planted")
    exp = Experiment(root, recipe())
    make_data(root)
    lang.run(exp)
    lang_ = load_lang(root / "2-lang")
    gmm = make_gmm(root, lang_)
    make_features(root, lang_, gmm)
    for seed in (1, 2):
        make_network(root, "asr", "full", seed, np.eye(gmm.n_pdfs, dtype=np.float32), {"classes": None, "log_prior": [-3.0] * gmm.n_pdfs})
    make_network(root, "kws", "spot", 1, keyword_weight(lang_, gmm), {"classes": ["<silence>", "<other>", "yes", "no"], "log_prior": None})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "run_jobs", in_process)
        decode.run(exp)
        yield exp


def result(exp: Experiment, name: str) -> dict:
    return read_json(exp.root / "8-decode" / name / "result.json")


def test_planted_words_and_the_planted_error_are_found(planted: Experiment) -> None:
    for name, engines in (("gmm", ["gmm"]), ("full/seed1", ["float", "packed"])):
        told = result(planted, name)
        assert list(told["engines"]) == engines
        for engine in engines:
            entries = told["engines"][engine]
            assert sorted(entries) == ["test", "test/lexicon", "test_two", "test_two/lexicon"]
            test = entries["test"]
            assert (test["n_words"], test["substitutions"], test["insertions"], test["deletions"]) == (8, 1, 0, 0)
            assert (test["wer"], test["ser"], test["n_partial"]) == (1 / 8, 1 / 4, 0)
            assert test["wer_ci"][0] <= 1 / 8 <= test["wer_ci"][1]
            assert entries["test_two"]["wer"] == 0
            assert test["rtf"] == pytest.approx(test["rtf_features"] + test["rtf_network"] + test["rtf_search"])
    assert told["tuned"]["engine"] == "float" and told["tuned"]["insertion_penalty"] == 0


def test_further_seeds_take_the_first_vocabulary_only(planted: Experiment) -> None:
    assert sorted(result(planted, "full/seed2")["engines"]["packed"]) == ["test", "test_two"]


def test_files_tell_each_utterance(planted: Experiment) -> None:
    folder = planted.root / "8-decode" / "full" / "seed1"
    lines = [json.loads(line) for line in (folder / "packed.test.jsonl").read_text().splitlines()]
    assert [(line["id"], line["ref"], line["hyp"]) for line in lines][-1] == ("test-3", "yes yes", "yes no")
    assert "REF:  yes YES\nHYP:  yes NO" in (folder / "packed.test.align.txt").read_text()
    assert (folder / "float.test.lexicon.jsonl").exists()
    assert not (folder / "parts").exists()


def test_word_times_are_the_planted_ones(planted: Experiment) -> None:
    """"no yes" begins after a silence of some states; each phone lasts three states."""
    lines = (planted.root / "8-decode" / "full" / "seed1" / "float.test.ctm").read_text().splitlines()
    (first, second) = (line.split() for line in lines if line.startswith("test-0 "))
    assert (first[4], second[4]) == ("no", "yes")
    length = 2 * 3 * STATE_FRAMES * 0.01
    assert [float(first[3]), float(second[3])] == pytest.approx([length, length], abs=0.011)
    assert float(second[2]) == pytest.approx(float(first[2]) + float(first[3]), abs=0.011)


def test_keywords_are_detected(planted: Experiment) -> None:
    for engine, entries in result(planted, "spot/seed1")["engines"].items():
        assert entries["test_two"]["auc"] == 1 and entries["test_two"]["utterance_accuracy"] == 1, engine
        test = entries["test"]
        assert test["per_keyword"]["yes"]["n_positive"] == 3 and test["utterance_accuracy"] is None
        assert 0.5 < test["auc"] < 1
    line = json.loads((planted.root / "8-decode/spot/seed1/float.test.jsonl").read_text().splitlines()[0])
    assert line["words"] == "no yes" and line["present"] == [1, 1] and min(line["confidence"]) > 0.9


def test_second_run_has_nothing_to_do(planted: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decode, "run_jobs", lambda function, items, *_: pytest.fail(f"made again: {items}") if items else [])
    decode.run(planted)
    assert [u.name for u in decode.units(planted)] == [
        "8-decode/graph/train", "8-decode/graph/lexicon", "8-decode/gmm", "8-decode/full/seed1", "8-decode/full/seed2", "8-decode/spot/seed1",
    ]  # fmt: skip


def without_times(told: dict) -> dict:
    def timeless(entry: dict) -> dict:
        return {key: value for key, value in entry.items() if not key.startswith("rtf")}

    return told | {"engines": {engine: {name: timeless(entry) for name, entry in entries.items()} for engine, entries in told["engines"].items()}}


def test_a_killed_run_goes_on_and_ends_alike(planted: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from cgs.score import evaluation

    unbroken = without_times(result(planted, "full/seed1"))
    unit_ = next(u for u in decode.units(planted) if u.name == "8-decode/full/seed1")
    (unit_.path / "stamp.json").unlink()
    plain, calls = evaluation.recognise, []

    def killed(*arguments):
        calls.append(arguments[0].name)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(evaluation, "recognise", killed)
    with pytest.raises(KeyboardInterrupt):
        decode.run(planted)
    assert sorted(path.stem for path in (unit_.aside / "parts").iterdir()) == ["float.test", "float.test_two", "packed.test", "tuned"]
    decode.run(planted)
    assert len(calls) == 4 + 5
    assert without_times(result(planted, "full/seed1")) == unbroken


def test_summary_tells_rates_and_the_edge() -> None:
    entries = {"float": {"test": {"wer": 0.125}}, "packed": {"test": {"wer": None}}}
    line = decode._summary({"engines": entries, "tuned": {"at_edge": True, "acoustic_scale": 0.2}})
    assert line == "float test WER 12.50 %; packed test WER - %; the best acoustic scale, 0.2, is at the edge of those tried: widen decode.acoustic_scales"
    assert decode._summary({"engines": {"float": {"test": {"auc": 0.9}}}, "tuned": None}) == "float test AUC 90.00 %"


@pytest.fixture(scope="module")
def in_lattices(planted: Experiment, tmp_path_factory: pytest.TempPathFactory) -> Experiment:
    """The same experiment with lattices and minimum Bayes risk, and a larger model that has heard "yes yes" only."""
    root = tmp_path_factory.mktemp("lattices") / "exp"
    shutil.copytree(planted.root, root)
    tables = recipe().decode.model_dump() | {"lattice_beam": 8.0, "mbr": True, "n_best": 3, "gmm": False}
    exp = Experiment(root, recipe(decode=tables))
    write_arpa(root / "2-lang" / "G.lexicon.large.arpa", train_ngram([("yes", "yes")] * 50, ["yes", "no", "maybe"], 2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decode, "run_jobs", in_process)
        decode.run(exp)
    return exp


def test_lattices_find_the_planted_words_too(planted: Experiment, in_lattices: Experiment) -> None:
    told, plain = result(in_lattices, "full/seed1"), result(planted, "full/seed1")
    for engine in ("float", "packed"):
        entry = told["engines"][engine]["test"]
        assert (entry["wer"], entry["ser"], entry["n_partial"]) == (1 / 8, 1 / 4, 0)
        assert entry["lattice"]["best_path_wer"] == entry["lattice"]["mbr_wer"] == 1 / 8 and "rescored_wer" not in entry["lattice"]
        assert entry["lattice"]["oracle_wer"] <= 1 / 8 and entry["lattice"]["density"] >= 1
        assert (entry["lattice"]["beam"], entry["lattice"]["search_scale"], entry["lattice"]["n_narrowed"]) == (8.0, 1.0, 0)
        assert "lattice" not in plain["engines"][engine]["test"]
    assert told["tuned"] == plain["tuned"]
    rescored = told["engines"]["float"]["test/lexicon"]
    assert rescored["lattice"]["mbr_wer"] == rescored["wer"] and "rescored_wer" in rescored["lattice"]


def test_a_wide_lattice_rescored_is_the_graph_of_the_other_model(planted: Experiment, tmp_path: Path) -> None:
    """Noise, so that the models decide: words and costs are those of a search with the other model in the graph."""
    model = train_ngram([("no", "no", "no"), ("yes", "no"), ("maybe",)] * 5, ["yes", "no", "maybe"], 2)
    shutil.copytree(planted.root / "2-lang", tmp_path / "2-lang")
    lang_ = load_lang(tmp_path / "2-lang")
    write_grammar(tmp_path / "2-lang", lang_, "lexicon", model)
    (tmp_path / "graph").mkdir()
    make_graph(tmp_path / "2-lang", "lexicon", planted.root / "4-align", tmp_path / "graph")
    graphs = (planted.root / "8-decode" / "graph" / "lexicon", tmp_path / "graph")
    first, direct = (Recogniser(tmp_path / "2-lang", planted.root / "4-align", graph, 1e3, 10**6, 0.0, 0.01) for graph in graphs)
    models = read_arpa(planted.root / "2-lang" / "G.lexicon.arpa"), model
    gmm = AcousticGmm.load(planted.root / "4-align")
    frames = frames_of("no maybe no", lang_, gmm)[::2]
    recogniser, n_turned = LatticeRecogniser(first, 1.0, 40.0, models=models), 0
    for seed in range(5):
        likelihoods = frames + np.random.default_rng(seed).normal(0, 1.0, frames.shape).astype(np.float32)
        rescored, found = recogniser.decode(likelihoods, 1.0, 0.0), direct.decode(likelihoods)
        assert rescored.passes["rescored"] == found.words
        assert rescored.lattice is not None and rescored.lattice.best().cost == pytest.approx(found.cost, abs=0.02)
        n_turned += rescored.passes["rescored"] != rescored.passes["best_path"]
    assert n_turned > 1


def test_lattices_give_the_same_times_with_confidences(planted: Experiment, in_lattices: Experiment) -> None:
    name = "8-decode/full/seed1/float.test.ctm"
    plain = [line.split() for line in (planted.root / name).read_text().splitlines()]
    found = [line.split() for line in (in_lattices.root / name).read_text().splitlines()]
    assert [fields[:5] for fields in found] == plain
    assert all(len(fields) == 6 and 0.9 < float(fields[5]) <= 1 for fields in found)


def test_the_n_best_come_best_first_and_differ(planted: Experiment) -> None:
    """Noise, so that there is a choice."""
    graph = planted.root / "8-decode" / "graph" / "lexicon"
    recogniser = LatticeRecogniser(Recogniser(planted.root / "2-lang", planted.root / "4-align", graph, 1e3, 10**6, 0.0, 0.01), 1.0, 40.0)
    gmm = AcousticGmm.load(planted.root / "4-align")
    frames = frames_of("no maybe no", load_lang(planted.root / "2-lang"), gmm)[::2]
    likelihoods = frames + np.random.default_rng(0).normal(0, 1.0, frames.shape).astype(np.float32)
    found = recogniser.decode(likelihoods, 1.0, 0.0)
    best = recogniser.n_best(found, 1.0, 0.0, 4)
    words = [tuple(recogniser.word_names[word] for word in path.words) for path in best]
    assert words[0] == found.words and len(set(words)) == 4 and not any("<sil>" in said for said in words)
    assert [path.cost for path in best] == sorted(path.cost for path in best)
    assert recogniser.n_best(found, 1.0, 0.0, 2) == best[:2]


def test_the_n_best_are_written_beside_the_outcome(in_lattices: Experiment) -> None:
    folder = in_lattices.root / "8-decode" / "full" / "seed1"
    lines = [line.split("\t") for line in (folder / "float.test.nbest").read_text().splitlines()]
    assert [name for name, *_ in lines if name.endswith("-1")] == [f"test-{number}-1" for number in range(4)]
    assert all(float(graph) > 0 and float(acoustic) < float(graph) and words for _, graph, acoustic, words in lines)


def test_a_killed_run_in_lattices_goes_on_and_ends_alike(in_lattices: Experiment, monkeypatch: pytest.MonkeyPatch) -> None:
    from cgs.score import lattices

    unbroken = without_times(result(in_lattices, "full/seed1"))
    unit_ = next(u for u in decode.units(in_lattices) if u.name == "8-decode/full/seed1")
    (unit_.path / "stamp.json").unlink()
    plain, calls = lattices.recognise_lattices, []

    def killed(*arguments):
        calls.append(arguments[0].name)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return plain(*arguments)

    monkeypatch.setattr(decode, "run_jobs", in_process)
    monkeypatch.setattr(lattices, "recognise_lattices", killed)
    with pytest.raises(KeyboardInterrupt):
        decode.run(in_lattices)
    decode.run(in_lattices)
    assert without_times(result(in_lattices, "full/seed1")) == unbroken


def test_graphs_say_what_they_took(planted: Experiment) -> None:
    told = read_json(planted.root / "8-decode" / "graph" / "train" / "graph.json")
    assert told["n_bytes"] == (planted.root / "8-decode" / "graph" / "train" / "HCLG.fst").stat().st_size
    assert told["seconds"] > 0 and told["peak_rss_bytes"] > 10_000_000


def test_what_needs_lattices_is_refused_without() -> None:
    for name in ("mbr", "n_best"):
        with pytest.raises(ValueError, match=f"decode.{name} needs lattices; set decode.lattice_beam"):
            recipe(decode={name: 1})


def test_missing_features_name_the_utterance(planted: Experiment) -> None:
    from cgs.score.evaluation import read_split

    split = read_split(planted.root / "1-data", planted.root / "3-feats", "test", "fbank", "speaker")
    split.utterances["zoe-1"] = split.utterances["test-0"]
    with pytest.raises(DataError, match="test: 1 utterances without features, e.g. zoe-1"):
        list(split.items())


def test_a_sample_spreads_over_the_split(planted: Experiment) -> None:
    from cgs.score.evaluation import read_split

    split = read_split(planted.root / "1-data", planted.root / "3-feats", "test", "fbank", "speaker")
    assert list(split.sampled(2).utterances) == ["test-0", "test-3"]
    assert split.sampled(0) is split and split.sampled(9) is split
    assert split.sampled(2).total_seconds == 2.0
