"""Frame scores of a trained network, from the float weights or from the packed integer model.

Owns the step from normalised features to what the search and the keyword detector take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import numpy as np

from cgs.base.errors import DataError, ShapeError
from cgs.base.files import read_json

Engine = Literal["float", "packed"]
Scores = Callable[[np.ndarray], np.ndarray]
"""Normalised features (T, D), not spliced, to frame scores (T, P)."""
PACKED_FILE = "model.cgs"


class NetworkScores:
    """One network, computed by one engine.

    Args:
        engine: "float" (PyTorch, float32) or "packed" (the integer engine, from the packed file alone).
        network_dir: its model.safetensors and model.json; the packed engine takes only the priors and the features' kind from there.
        pack_dir: its model.cgs; not read by the float engine.
    """

    def __init__(self, engine: Engine, network_dir: Path, pack_dir: Path) -> None:
        self.meta: dict[str, Any] = read_json(network_dir / "model.json")
        context = self.meta["features"]["left"], self.meta["features"]["right"]
        self._logits = _float_logits(network_dir, *context) if engine == "float" else _packed_logits(pack_dir, *context)
        self._log_prior: np.ndarray | None = None
        if self.meta.get("log_prior"):
            self._log_prior = np.asarray(self.meta["log_prior"], dtype=np.float32)
            if not np.isfinite(self._log_prior).all():
                raise DataError(f"{network_dir / 'model.json'}: log_prior is not finite", "train the network again")

    def logits(self, features: np.ndarray) -> np.ndarray:
        """(T, D) normalised features, not spliced -> (T, P) float32 logits."""
        return self._logits(features)

    def posteriors(self, features: np.ndarray) -> np.ndarray:
        """(T, D) normalised features -> (T, P) float32 probabilities."""
        return np.exp(log_softmax(self.logits(features)))

    def log_likelihoods(self, features: np.ndarray) -> np.ndarray:
        """Scaled log-likelihoods: log posterior less log prior.

        Args:
            features: (T, D) normalised, not spliced.
        Returns: (T, P) float32, natural logarithm, up to a constant of each frame.
        Raises: ShapeError: a network without priors, or of another number of outputs.
        Source: Bourlard and Morgan 1994.
        """
        logits = self.logits(features)
        if self._log_prior is None or len(self._log_prior) != logits.shape[1]:
            n_priors = 0 if self._log_prior is None else len(self._log_prior)
            raise ShapeError(f"{logits.shape[1]} outputs but {n_priors} priors", "decode an acoustic network, trained in this experiment")
        return log_softmax(logits) - self._log_prior


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Logarithms of the softmax over the last axis, without overflow; (T, P) float32 -> (T, P) float32."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


def _float_logits(network_dir: Path, left: int, right: int) -> Scores:
    import torch

    from cgs.nn.forward import logits
    from cgs.nn.network import load_network

    torch.set_num_threads(1)
    network, _ = load_network(network_dir)
    return lambda features: logits(network, features, left, right)


def _packed_logits(pack_dir: Path, left: int, right: int) -> Scores:
    from cgs.quant.engine import IntegerEngine, network_input
    from cgs.quant.packed import read_packed

    engine = IntegerEngine(read_packed(pack_dir / PACKED_FILE))
    return lambda features: engine.logits(network_input(engine.model, features, left, right))
