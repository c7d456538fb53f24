"""How fast the searches of a decoding graph are, and what they find, at the same beam: ours against the libraries' own decoders.

    PYTHONPATH=. .venv/bin/python benchmarks/search.py --experiment exp/mini_rm [--system dense] [--split dev] [--utterances 40]

Every utterance is decoded by all candidates in turn, in one process on one thread, so that a machine that slows down slows all of
them; ratios are of summed processor times. "best path" is `GraphSearch` and "lattice" `LatticeSearch` with word lattices made,
as stage 8 runs them. LatticeFasterDecoder has the same limit of active states, LatticeSimpleDecoder none; neither determinises here."""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import kaldi_decoder
import kaldi_hmm_gmm as khg
import kaldifst
import numpy as np

from cgs.base.experiment import network_unit
from cgs.base.files import read_json
from cgs.decode.lattice_recogniser import LatticeRecogniser
from cgs.decode.recogniser import Recogniser
from cgs.decode.scores import NetworkScores
from cgs.gmm.adapted import read_adapted
from cgs.gmm.model import AcousticGmm
from cgs.lang.lang import read_fst
from cgs.score.evaluation import Split, read_split
from cgs.score.wer import ErrorCounts, count_errors, spoken, total

Decoder = Callable[[np.ndarray], tuple[str, ...]]
"""Scaled log-likelihoods (T, P) to words."""


def split_of(root: Path, name: str, features: dict[str, str]) -> Split:
    """A split with the features that a network was trained on."""
    data, feats = root / "1-data", root / "3-feats"
    if features["kind"] != "fmllr":
        return read_split(data, feats, name, features["kind"], features["cmvn"])
    return read_split(data, feats, name, "mfcc", "speaker", read_adapted(root / "4-align", feats, root / "8-decode" / "adapt", name, True))


def libraries(root: Path, graph_dir: Path, ours: Recogniser, beam: float, max_active: int, lattice_beam: float) -> dict[str, Decoder]:
    """The libraries' lattice decoders over the same graph."""
    graph, model = read_fst(graph_dir / "HCLG.fst"), AcousticGmm.load(root / "4-align").transition_model
    constant, pdf, word_of = kaldifst.StdConstFst(graph), ours.search.pdf, ours.word_names
    faster_options = khg.LatticeFasterDecoderConfig(beam=beam, max_active=max_active, lattice_beam=lattice_beam, determinize_lattice=False)
    simple_options = kaldi_decoder.LatticeSimpleDecoderConfig(beam=beam, lattice_beam=lattice_beam)

    def faster(scores: np.ndarray) -> tuple[str, ...]:
        columns = np.ascontiguousarray(scores[:, pdf])
        decodable, decoder = khg.DecodableCtc(columns), khg.LatticeFasterDecoder(graph, faster_options)
        words = khg.decode_utterance_lattice_faster(decoder, decodable, model, "utterance", True)[2]
        return tuple(word_of[word] for word in words)

    def simple(scores: np.ndarray) -> tuple[str, ...]:
        columns = np.ascontiguousarray(scores[:, pdf])
        decodable, decoder = kaldi_decoder.DecodableCtc(columns), kaldi_decoder.LatticeSimpleDecoder(constant, simple_options)
        decoder.decode(decodable)
        decoder.get_raw_lattice(True)
        words = kaldifst.get_linear_symbol_sequence(decoder.get_best_path(True)[1])[2]
        return tuple(word_of[word] for word in words)

    return {"khg.LatticeFasterDecoder": faster, "kaldi_decoder.LatticeSimpleDecoder": simple}


def candidates(root: Path, graph_dir: Path, arguments: argparse.Namespace) -> dict[str, Decoder]:
    """Every decoder, ours first."""
    beam, most, lattice_beam = arguments.beam, arguments.max_active, arguments.lattice_beam
    best = Recogniser(root / "2-lang", root / "4-align", graph_dir, beam, most, 0.0, 0.01)
    lattices = LatticeRecogniser(best, 1.0, lattice_beam)

    def lattice(scores: np.ndarray) -> tuple[str, ...]:
        found = lattices.lattices(scores)
        return lattices.outcome(found[1], 1.0, 0.0) if found else ()

    return {"best path": lambda scores: best.decode(scores).words, "lattice": lattice} | libraries(root, graph_dir, best, beam, most, lattice_beam)


def main() -> None:
    """Decode and compare."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", type=Path, required=True)
    parser.add_argument("--system", default="dense")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--split", default="dev")
    parser.add_argument("--vocabulary", default="train")
    parser.add_argument("--utterances", type=int, default=40)
    parser.add_argument("--beam", type=float, default=10.0)
    parser.add_argument("--max-active", type=int, default=2000)
    parser.add_argument("--lattice-beam", type=float, default=6.0)
    arguments = parser.parse_args()
    root, network = arguments.experiment, arguments.experiment / network_unit("asr", arguments.system, arguments.seed)
    scale = read_json(root / "8-decode" / arguments.system / f"seed{arguments.seed}" / "result.json")["tuned"]["acoustic_scale"]
    scores = NetworkScores("float", network, root)
    split = split_of(root, arguments.split, scores.meta["features"]).sampled(arguments.utterances)
    decoders = candidates(root, root / "8-decode" / "graph" / arguments.vocabulary, arguments)
    seconds, errors = dict.fromkeys(decoders, 0.0), {name: list[ErrorCounts]() for name in decoders}
    for utterance, features in split.items():
        likelihoods = scores.log_likelihoods(features) * np.float32(scale)
        for name, decode in decoders.items():
            start = time.process_time()
            words = decode(likelihoods)
            seconds[name] += time.process_time() - start
            errors[name].append(count_errors(spoken(utterance.words), spoken(words)))
    print(f"{len(split.utterances)} utterances, {split.total_seconds:.0f} s, beam {arguments.beam:g}, at most {arguments.max_active} states, scale {scale:g}")
    for name, spent in seconds.items():
        ratio = seconds["khg.LatticeFasterDecoder"] / spent
        print(f"  {name:<36} RTF {spent / split.total_seconds:.4f}   {ratio:5.2f}x LatticeFasterDecoder   WER {100 * (total(errors[name]).wer or 0):.2f} %")


if __name__ == "__main__":
    main()
