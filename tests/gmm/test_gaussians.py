"""Likelihoods against the library and scipy; a model on disk is the model in memory."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm

from cgs.base.errors import FormatError, ShapeError
from cgs.gmm.gaussians import DiagonalGmms, from_moments
from cgs.gmm.model import AcousticGmm
from cgs.gmm.train import roots
from cgs.gmm.tree import monophone_tree
from cgs.gmm.tree_format import tree_bytes
from cgs.lang.lang import load_lang
from cgs.lang.topology import topology_text


def drawn(n_pdfs: int, dim: int = 5, seed: int = 0) -> DiagonalGmms:
    """Mixtures of one to four Gaussians."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 5, n_pdfs)
    weights = np.concatenate([rng.dirichlet(np.ones(size)) for size in sizes])
    return from_moments(weights, rng.normal(0, 2, (sizes.sum(), dim)), rng.uniform(0.3, 2, (sizes.sum(), dim)), np.concatenate([[0], np.cumsum(sizes)]))


@pytest.fixture
def model(lang_dir: Path) -> AcousticGmm:
    """Monophones of the planted language with drawn Gaussians."""
    lang = load_lang(lang_dir)
    monophones = monophone_tree(roots(lang))
    return AcousticGmm(tree_bytes(monophones), topology_text(lang.speech_phones, lang.silence_phones), drawn(monophones.n_pdfs))


def test_log_likelihoods_equal_a_slow_sum_over_normal_densities():
    gmms = drawn(3)
    frames = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    for pdf in range(3):
        rows = slice(gmms.offsets[pdf], gmms.offsets[pdf + 1])
        deviations = 1 / np.sqrt(gmms.inv_vars[rows])
        slow = [np.log(np.sum(gmms.weights[rows] * norm.pdf(x, gmms.means()[rows], deviations).prod(axis=1))) for x in frames]
        np.testing.assert_allclose(gmms.log_likelihoods(frames)[:, pdf], slow, rtol=1e-5, atol=1e-4)


def test_log_likelihoods_equal_the_librarys(model: AcousticGmm):
    frames = np.random.default_rng(2).normal(size=(30, 5)).astype(np.float32)
    library = [[model.am.log_likelihood(pdf, frame) for pdf in range(model.n_pdfs)] for frame in frames]
    np.testing.assert_allclose(model.log_likelihoods(frames), library, rtol=1e-5, atol=1e-3)


def test_far_frames_stay_finite(model: AcousticGmm):
    assert np.isfinite(model.log_likelihoods(np.full((1, 5), 1e4, dtype=np.float32))).all()


def test_wrong_dimension_names_both(model: AcousticGmm):
    with pytest.raises(ShapeError, match=r"\(4, 13\).*5 dimensions"):
        model.log_likelihoods(np.zeros((4, 13), dtype=np.float32))


def test_saved_model_is_the_same_to_the_bit(model: AcousticGmm, tmp_path: Path):
    frames = np.random.default_rng(3).normal(size=(9, 5)).astype(np.float32)
    model.transition_model.mle_update(np.arange(model.transition_model.num_transition_ids + 1.0), _config())
    model.save(tmp_path)
    loaded = AcousticGmm.load(tmp_path)
    np.testing.assert_array_equal(loaded.log_likelihoods(frames), model.log_likelihoods(frames))
    np.testing.assert_array_equal(loaded.log_probs, model.log_probs)
    np.testing.assert_array_equal(loaded.tid2pdf, model.tid2pdf)
    loops = [np.array(m.transition_model.non_self_loop_log_probs) for m in (model, loaded)]
    np.testing.assert_allclose(loops[0], loops[1], atol=1e-5)
    assert (tmp_path / "tree").read_bytes().startswith(b"\0BContextDependency ")


def _config() -> object:
    import kaldi_hmm_gmm as khg

    return khg.MleTransitionUpdateConfig()


@pytest.mark.parametrize("name", ["gaussians.safetensors", "tree"])
def test_truncated_file_is_told(model: AcousticGmm, tmp_path: Path, name: str):
    model.save(tmp_path)
    (tmp_path / name).write_bytes((tmp_path / name).read_bytes()[:-9])
    with pytest.raises(FormatError, match=r"run stage 4 again"):
        _ = AcousticGmm.load(tmp_path).tree


def test_other_version_is_told(model: AcousticGmm, tmp_path: Path):
    model.save(tmp_path)
    meta = json.loads((tmp_path / "model.json").read_text())
    (tmp_path / "model.json").write_text(json.dumps(meta | {"version": 7}))
    with pytest.raises(FormatError, match="version 7, this code reads 1"):
        AcousticGmm.load(tmp_path)
