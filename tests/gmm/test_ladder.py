"""The upper steps of the ladder on a planted language spoken by planted voices: LDA+MLLT, then speaker adaptation."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from cgs.base.errors import DataError
from cgs.base.files import write_text
from cgs.base.options import AlignOptions
from cgs.data.corpus import Utterance
from cgs.decode.adaptation import Adapted, estimate_fmllr
from cgs.decode.search import Hypothesis
from cgs.feats.archive import write_archive
from cgs.gmm import transforms
from cgs.gmm.adapted import AdaptedFeatures, training_features, write_fmllr
from cgs.gmm.align import align_features
from cgs.gmm.checkpoints import Checkpoints, TrainState
from cgs.gmm.chunk import AlignedUtterance
from cgs.gmm.train import train
from cgs.gmm.workers import Workers

from .test_train import same

OPTIONS = AlignOptions(model="sat", mono_iterations=8, mono_gaussians=40, tri_iterations=7, n_leaves=30, tri_gaussians=40, lda_context=1, lda_dim=6)
OFFSETS = {"spk0": 0.0, "spk1": 1.5, "spk2": -1.5}


@pytest.fixture(scope="module")
def voices(planted) -> list[AlignedUtterance]:
    """The planted utterances, every speaker's features moved by an offset of his own."""
    heard = []
    for utterance in planted.utterances:
        speaker = utterance.id.partition("-")[0]
        heard.append(replace(utterance, features=utterance.features + np.float32(OFFSETS[speaker]), speaker=speaker))
    return heard


def trained(planted, voices, directory: Path, n_jobs: int = 1) -> TrainState:
    with Workers(planted.lang_dir, voices, n_jobs, directory / "log") as workers:
        return train(workers, planted.lang, OPTIONS, 3, Checkpoints(directory / "checkpoints"))


@pytest.fixture(scope="module")
def state(planted, voices, tmp_path_factory: pytest.TempPathFactory) -> TrainState:
    return trained(planted, voices, tmp_path_factory.mktemp("ladder"))


def test_every_step_was_climbed(state: TrainState):
    assert {phase: len(told) for phase, told in state.history.items()} == {"mono": 8, "tri": 7, "lda_mllt": 7, "sat": 7}
    assert state.fitted.projection is not None and state.fitted.projection.shape == (6, 3 * 4)
    assert state.fitted.gmms.dim == 6
    assert state.unadapted is not None
    np.testing.assert_array_equal(state.unadapted.gmms.offsets, state.fitted.gmms.offsets)
    assert not np.allclose(state.unadapted.gmms.means(), state.fitted.gmms.means())


def test_planted_voices_are_brought_together(state: TrainState, voices):
    model = state.fitted

    def spread(adapted: bool) -> float:
        means = []
        for speaker in OFFSETS:
            frames = np.concatenate([model.features(u.features) for u in voices if u.speaker == speaker])
            means.append((frames @ state.fmllr[speaker][:, :-1].T + state.fmllr[speaker][:, -1] if adapted else frames).mean(axis=0))
        return float(np.var(means, axis=0).sum() / np.var(frames, axis=0).sum())

    assert spread(True) < 0.2 * spread(False)


def test_unknown_utterances_are_adapted_to_and_aligned(planted, state: TrainState, voices, tmp_path: Path):
    strangers = [replace(u, speaker=f"new-{u.speaker}") for u in voices]
    aligned, failed, fmllr = align_features(state.fitted, planted.lang_dir, strangers, 10, 40, 1, tmp_path, state.unadapted)
    assert not failed and set(fmllr) == {f"new-{speaker}" for speaker in OFFSETS}
    errors = [
        abs(s.start - start) + abs(s.end - end)
        for alignment in aligned
        for s, (_, start, end) in zip(alignment.word_segments, planted.words[alignment.id], strict=True)
    ]
    assert np.median(errors) <= 3


def test_jobs_change_nothing(planted, state: TrainState, voices, tmp_path: Path):
    again = trained(planted, voices, tmp_path, n_jobs=2)
    assert same(again.fitted, state.fitted)
    assert all(np.array_equal(again.fmllr[speaker], state.fmllr[speaker]) for speaker in OFFSETS)


@pytest.mark.parametrize("kill_at", [16, 19, 23, 27])
def test_killed_run_goes_on_to_the_same_models(planted, state: TrainState, voices, tmp_path: Path, killed_at, kill_at: int):
    with killed_at(kill_at):
        trained(planted, voices, tmp_path)
    resumed = trained(planted, voices, tmp_path)
    assert same(resumed.fitted, state.fitted) and same(resumed.unadapted, state.unadapted)
    assert all(np.array_equal(resumed.fmllr[speaker], state.fmllr[speaker]) for speaker in OFFSETS)
    finished = Checkpoints(tmp_path / "checkpoints").newest()
    assert finished.phase == "done" and same(finished.unadapted, state.unadapted)


def test_decoded_words_serve_as_well_as_transcripts_where_they_are_right(planted, state: TrainState, voices, tmp_path: Path):
    """A search that finds what was said gives the transforms that the transcripts give."""
    aligned, _, expected = align_features(state.fitted, planted.lang_dir, voices, 10, 40, 1, tmp_path, state.unadapted)
    first_of = {int(pdf): tid for tid, pdf in reversed(list(enumerate(state.fitted.tid2pdf))) if tid}
    paths = {alignment.id: tuple(first_of[int(pdf)] for pdf in alignment.pdfs) for alignment in aligned}
    asked: list[str] = []

    class Told:
        def decode(self, scores: np.ndarray) -> Hypothesis:
            path = paths[asked[-1]]
            assert len(path) == len(scores)
            return Hypothesis((), path, 0.0, 0.0, True)

    def utterances():
        for voice in voices:
            asked.append(voice.id)
            yield Utterance(voice.id, voice.speaker, tmp_path, voice.words), state.fitted.features(voice.features)

    silence = planted.lang.silence_phones
    found = estimate_fmllr(utterances, state.fitted, state.unadapted, silence, Told(), 0.1)  # type: ignore[arg-type]
    assert len(asked) == 2 * len(voices) and found.seconds > 0
    for speaker, transform in expected.items():
        np.testing.assert_allclose(found.fmllr[speaker], transform, atol=0.1)
    found.write(tmp_path / "kept.safetensors")
    again = Adapted.read(tmp_path / "kept.safetensors")
    assert (again.seconds, again.phone_length) == (found.seconds, found.phone_length)
    assert all(np.array_equal(again.fmllr[s], found.fmllr[s]) for s in found.fmllr)


def test_speaker_without_a_transform_is_named(state: TrainState):
    adapted = AdaptedFeatures(state.fitted, state.fmllr, {"a-1": "spk9"})
    with pytest.raises(DataError, match=r"a-1: no fMLLR transform of its speaker 'spk9'"):
        adapted("a-1", np.zeros((5, 4), dtype=np.float32))


def test_copies_in_noise_take_the_transform_of_the_clean_voice(state: TrainState, voices, tmp_path: Path):
    feats, align = tmp_path / "3-feats", tmp_path / "4-align"
    state.fitted.save(align)
    slow = {f"sp0.9-{speaker}": 2 * transform for speaker, transform in state.fmllr.items()}
    write_fmllr(align, "train", state.fmllr, align)
    write_fmllr(align, "train_sp", slow, align)
    write_archive(align, "cmvn_fmllr", [("global", np.array([[0.0] * 6 + [1], [1.0] * 6 + [0]]))])
    stats = np.array([[0.0] * 4 + [1000], [1000.0] * 4 + [0]])
    heard = {"noisy1-spk1-a": ("noisy1-spk1", voices[0].features), "noisy2-sp0.9-spk1-a": ("noisy2-sp0.9-spk1", voices[0].features)}
    write_archive(feats / "mfcc", "train_noisy", [(name, features) for name, (_, features) in heard.items()])
    write_archive(feats / "mfcc", "cmvn_train_noisy", [(speaker, stats) for speaker, _ in heard.values()])
    write_archive(feats / "mfcc", "cmvn_global", [("global", stats)])
    write_text(feats / "utt2spk_train_noisy", "".join(f"{name} {speaker}\n" for name, (speaker, _) in heard.items()))
    found = training_features(align, feats, "train_noisy")
    expected = transforms.apply(state.fmllr["spk1"], state.fitted.features(voices[0].features))
    np.testing.assert_allclose(found["noisy1-spk1-a"], expected, rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(found["noisy2-sp0.9-spk1-a"], 2 * expected, rtol=1e-4, atol=1e-4)
