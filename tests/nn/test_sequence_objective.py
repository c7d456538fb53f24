"""Sequence training: the sum over paths against every path written out, the graph against phone strings, the loss against what it is made of."""

from __future__ import annotations

import itertools
import math
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from cgs.base.errors import TrainError
from cgs.base.files import read_json
from cgs.base.options import NnOptions
from cgs.gmm.gaussians import from_moments
from cgs.gmm.model import AcousticGmm
from cgs.gmm.train import lang_topology, roots
from cgs.gmm.tree import monophone_tree
from cgs.gmm.tree_format import tree_bytes
from cgs.lang.lang import Lang, load_lang, make_lang
from cgs.nn.denominator import Denominator, denominator_graph
from cgs.nn.dropout import share_of_minibatch
from cgs.nn.feedforward import NetworkSpec
from cgs.nn.layers import Spec
from cgs.nn.network import build_network, load_network
from cgs.nn.sequence import MutualInformation
from cgs.nn.step import frame_loss
from cgs.nn.system import FIRST_WEIGHTS, Sequel, train_network
from cgs.nn.tdnn import TdnnSpec
from cgs.nn.train import Examples, evaluate
from cgs.nn.utterances import make_utterances

N_PDFS = 3
LENGTHS = {"a": 5, "b": 3, "c": 4}


def drawn_graph(seed: int = 0) -> Denominator:
    """Four states, two of which share a pdf, and seven arcs."""
    rng = np.random.default_rng(seed)
    places = torch.tensor([(0, 0), (0, 1), (1, 1), (1, 2), (2, 0), (2, 3), (3, 3)])
    numbers = torch.from_numpy(rng.uniform(0.1, 0.9, 15).astype(np.float32))
    return Denominator(torch.tensor([0, 1, 2, 1]), numbers[:4], numbers[4:8], places[:, 0], places[:, 1], numbers[8:], N_PDFS)


def path_weights(graph: Denominator, scores: np.ndarray) -> dict[tuple[int, ...], float]:
    """{states: weight} of every path, written out."""
    arcs = {(int(s), int(t)): float(p) for s, t, p in zip(graph.sources, graph.targets, graph.probabilities, strict=True)}
    found = {}
    for path in itertools.product(range(len(graph.pdfs)), repeat=len(scores)):
        steps = [arcs.get(pair, 0.0) for pair in itertools.pairwise(path)]
        weight = float(graph.initial[path[0]] * graph.final[path[-1]]) * math.prod(steps)
        found[path] = weight * math.exp(sum(scores[t, int(graph.pdfs[state])] for t, state in enumerate(path)))
    return found


def test_the_sum_and_its_gradient_are_those_of_all_paths() -> None:
    graph, lengths = drawn_graph(), torch.tensor([5, 3])
    scores = torch.randn(2, 5, N_PDFS, generator=torch.Generator().manual_seed(1))
    scores[1, 3:] = 50.0  # beyond the end
    scores.requires_grad_()
    total = graph.log_sum(scores, lengths)
    total.sum().backward()
    assert scores.grad is not None and scores.grad[1, 3:].abs().max() == 0
    for row, length in enumerate(lengths.tolist()):
        weights = path_weights(graph, scores.detach().numpy()[row, :length])
        assert total[row].item() == pytest.approx(math.log(sum(weights.values())), abs=1e-5)
        occupancy = np.zeros((length, N_PDFS))
        for path, weight in weights.items():
            for t, state in enumerate(path):
                occupancy[t, int(graph.pdfs[state])] += weight / sum(weights.values())
        np.testing.assert_allclose(scores.grad[row, :length], occupancy, atol=1e-5)


def test_scores_far_from_zero_neither_vanish_nor_overflow() -> None:
    graph, scores = drawn_graph(), torch.randn(1, 200, N_PDFS)
    near, far = graph.log_sum(scores, torch.tensor([200])), graph.log_sum(scores - 500, torch.tensor([200]))
    assert torch.isfinite(far).all() and far.item() == pytest.approx(near.item() - 500 * 200, rel=1e-5)


def test_a_state_that_no_path_comes_to_may_promise_anything() -> None:
    places = torch.tensor([(0, 0), (1, 1), (1, 0)])
    graph = Denominator(torch.tensor([0, 1]), torch.tensor([1.0, 0.0]), torch.tensor([0.5, 0.5]), places[:, 0], places[:, 1], torch.full((3,), 0.5), 2)
    scores = torch.tensor([-4.0, 0.0]).repeat(1, 100, 1).requires_grad_()
    total = graph.log_sum(scores, torch.tensor([100]))
    total.sum().backward()
    assert total.item() == pytest.approx(-400 + 100 * math.log(0.5), rel=1e-5)
    assert torch.equal(scores.grad, torch.tensor([1.0, 0.0]).expand(1, 100, 2))


def test_a_graph_travels_to_another_process_without_what_is_made_of_it() -> None:
    graph = drawn_graph()
    before = graph.log_sum(torch.zeros(1, 4, N_PDFS), torch.tensor([4]))
    again = pickle.loads(pickle.dumps(graph))
    assert not {"forward", "backward", "pooling"} & vars(again).keys()
    assert again.log_sum(torch.zeros(1, 4, N_PDFS), torch.tensor([4])) == before


@pytest.fixture(scope="module")
def lang(tmp_path_factory: pytest.TempPathFactory) -> Lang:
    directory = tmp_path_factory.mktemp("lang")
    make_lang(directory, {"yes": [("Y", "E")], "no": [("N", "O")], "<sil>": [("SIL",)]}, 0.5)
    return load_lang(directory)


@pytest.fixture(scope="module")
def model(lang: Lang) -> AcousticGmm:
    tree = monophone_tree(roots(lang))
    n = tree.n_pdfs
    return AcousticGmm(tree_bytes(tree), lang_topology(lang), from_moments(np.ones(n), np.zeros((n, 3)), np.ones((n, 3)), np.arange(n + 1)))


def chain(model: AcousticGmm, phones: list[int], frames_a_state: int = 1) -> list[int]:
    """Pdfs of the straight way through some phones."""
    table = model.transitions
    states = [(p, c) for p in phones for c in sorted(set(table.pdf_class[table.phone == p].tolist()))]
    return [int(table.pdf[(table.phone == p) & (table.pdf_class == c)][0]) for p, c in states for _ in range(frames_a_state)]


def test_only_phone_triples_that_occur_are_in_the_graph(lang: Lang, model: AcousticGmm) -> None:
    """Scores that leave one pdf a frame give the path its probability: that of its phones, times its transitions."""
    yes, no = [lang.phones[p] for p in ("Y", "E")], [lang.phones[p] for p in ("N", "O")]
    graph = denominator_graph(model, [yes, yes, yes + no])
    assert graph.initial.sum() == pytest.approx(1.0)
    leaving = torch.zeros(len(graph.pdfs)).index_add_(0, graph.sources, graph.probabilities) + graph.final
    torch.testing.assert_close(leaving, torch.ones(len(leaving)))

    def log_probability(phones: list[int]) -> float:
        pdfs = torch.tensor(chain(model, phones))
        scores = torch.full((1, len(pdfs), model.n_pdfs), -100.0)
        scores[0, torch.arange(len(pdfs)), pdfs] = 0.0
        return graph.log_sum(scores, torch.tensor([len(pdfs)])).item()

    step = math.log(0.25)  # of every transition out of a state, in the topology
    assert log_probability(yes) == pytest.approx(math.log(2 / 3) + 6 * step, abs=1e-4)
    assert log_probability(yes + no) == pytest.approx(math.log(1 / 3) + 12 * step, abs=1e-4)
    assert log_probability(no) < -50 and log_probability(no + yes) < -50


def test_a_graph_of_nothing_is_an_error(model: AcousticGmm) -> None:
    with pytest.raises(TrainError, match="no phone in the training alignments"):
        denominator_graph(model, [])


def utterances(spliced: bool, left: int = 1, right: int = 1):
    rng = np.random.default_rng(3)
    features = {name: rng.standard_normal((length, 2)).astype(np.float32) for name, length in LENGTHS.items()}
    labels = {name: np.array([0, 1, 2, 1, 1][:length]) for name, length in LENGTHS.items()}
    return make_utterances(features, labels, left, right, spliced), features, labels


@pytest.mark.parametrize("spliced", [True, False])
def test_the_loss_is_what_was_said_against_all_paths(spliced: bool) -> None:
    """For both layouts: the posterior of the aligned pdfs at the scaled scores, and the cross-entropy beside it."""
    examples, features, labels = utterances(spliced)
    spec: Spec = NetworkSpec(n_in=6, hidden=(8,), n_out=N_PDFS) if spliced else TdnnSpec(n_in=2, offsets=((-1, 0, 1),), hidden=(8,), n_out=N_PDFS)
    network, prior = build_network(spec), torch.log(torch.tensor([0.5, 0.3, 0.2]))
    graph, scale, weight = drawn_graph(), 0.4, 0.25
    (part,) = examples.in_order()
    batch = examples.batch(part)
    outputs = network(batch.inputs)
    expected, n_frames = 0.0, sum(LENGTHS.values())
    for name, length in LENGTHS.items():
        logits = network(make_utterances({name: features[name]}, {name: labels[name]}, 1, 1, spliced).batch(torch.tensor([0])).inputs).reshape(length, -1)
        scores = (scale * (torch.log_softmax(logits, 1) - prior)).detach().numpy()
        said = sum(scores[t, label] for t, label in enumerate(labels[name]))
        expected += (math.log(sum(path_weights(graph, scores).values())) - said) / scale
    plain = MutualInformation(graph, prior, scale, 0.0)
    assert plain(outputs, batch, "sum").item() == pytest.approx(expected, rel=1e-4)
    assert plain(outputs, batch).item() == pytest.approx(expected / n_frames, rel=1e-4)
    smoothed = MutualInformation(graph, prior, scale, weight)(outputs, batch, "sum").item()
    assert smoothed == pytest.approx(expected + weight * frame_loss(outputs, batch, "sum").item(), rel=1e-4)


def test_minibatches_hold_every_utterance_once_and_few_frames() -> None:
    examples, _, _ = utterances(True)
    parts = examples.shuffled(NnOptions(), torch.Generator().manual_seed(0))
    assert sorted(torch.cat(parts).tolist()) == [0, 1, 2]
    batch = examples.batch(parts[0])
    assert batch.inputs.shape == (len(LENGTHS) * max(LENGTHS.values()), 6) and batch.n_frames == sum(LENGTHS.values())


@pytest.mark.parametrize("spliced", [True, False])
def test_shares_of_a_minibatch_have_the_gradients_of_the_whole(spliced: bool) -> None:
    """With dropout, which is drawn for the whole minibatch: what two processes sum up is what one computes."""
    examples, _, _ = utterances(spliced)
    shape = {"hidden": (8,), "n_out": N_PDFS, "dropout": 0.5}
    network = build_network(NetworkSpec(n_in=6, **shape) if spliced else TdnnSpec(n_in=2, offsets=((-1, 0, 1),), **shape)).train()
    objective, whole = MutualInformation(drawn_graph(), torch.zeros(N_PDFS), 1.0, 0.1), torch.tensor([0, 1, 2])
    found = []
    for shares in ([whole], [whole[:1], whole[1:]]):
        network.zero_grad()
        for share in shares:
            torch.manual_seed(7)
            with share_of_minibatch(int(share[0]), len(share), len(whole)):
                batch = examples.batch(share, whole)
                objective(network(batch.inputs), batch, "sum").backward()
        found.append([parameter.grad.clone() for parameter in network.parameters() if parameter.grad is not None])
    for one, both in zip(*found, strict=True):
        torch.testing.assert_close(one, both)


def trained(directory: Path, sequel: Sequel) -> float:
    """Train by frames, then on; returns the sequence loss of what is on disk."""
    examples, _, _ = utterances(True)
    spec = NetworkSpec(n_in=6, hidden=(8,), n_out=N_PDFS)
    options = NnOptions(epochs=1, left_context=1, right_context=1, dropout=0.0, matmul="float32")
    train_network(spec, Examples(examples, examples, "fbank"), options, {"system": "s", "features": {}}, directory, sequel=sequel)
    made = sequel.examples()
    return evaluate(load_network(directory)[0], made.held_out, made.objective)[0]


def test_training_on_lowers_the_loss_and_a_kill_changes_nothing(tmp_path: Path) -> None:
    objective = MutualInformation(drawn_graph(), torch.zeros(N_PDFS), 1.0, 0.0)
    examples, _, _ = utterances(True)
    options = NnOptions(left_context=1, right_context=1, dropout=0.0, matmul="float32", sequence={"epochs": 8, "learning_rate": 0.02}).for_sequences()
    sequel = Sequel(lambda: Examples(examples, examples, "fbank", objective), options)
    loss = trained(tmp_path / "whole", sequel)
    history = (tmp_path / "whole" / "sequence" / "training.jsonl").read_text().splitlines()
    assert len(history) == 8 and loss < 0.8 * float(history[0].split('"held_out_loss": ')[1].split(",")[0])
    assert not (tmp_path / "whole" / FIRST_WEIGHTS).exists() and read_json(tmp_path / "whole" / "model.json")["sequence"]["best_epoch"] > 1

    def killed() -> Examples:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        trained(tmp_path / "killed", Sequel(killed, options))
    assert (tmp_path / "killed" / FIRST_WEIGHTS).exists()
    assert trained(tmp_path / "killed", sequel) == loss
    assert (tmp_path / "killed" / "model.safetensors").read_bytes() == (tmp_path / "whole" / "model.safetensors").read_bytes()
