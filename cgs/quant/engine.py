"""The integer engine: what a packed model computes, by definition, bit for bit. NumPy only.

Integers ride in floating point, where matrix products are fast: a layer whose every partial sum stays below 2^24
is exact in float32, whatever the order of the additions, and any other in float64, because int32 accumulators stay
below 2^53. A product of two integers, a sum of them and a scaling by a power of two never round there. The tests
compare it with a slow engine in Python's own integers."""

from __future__ import annotations

import numpy as np

from cgs.base.errors import DataError, ShapeError
from cgs.feats.splice import splice, with_edges
from cgs.quant.cells import GATE, update
from cgs.quant.model import PackedLayer, PackedModel

EXACT_FLOAT32 = 1 << 24
CHUNK_FRAMES = 256
"""Frames computed at a time: activations of a layer then stay in the second-level cache."""


class _Layer:
    """Weights of one layer laid out for matrix products on (features, frames) arrays."""

    def __init__(self, layer: PackedLayer) -> None:
        self.layer = layer
        self.dtype = np.float32 if layer.accumulator_bound() < EXACT_FLOAT32 else np.float64
        self.n_rows_in = layer.n_block_columns * layer.block_in if layer.block else layer.n_in
        if layer.kept is None:
            self.panels = layer.weights.astype(self.dtype)[None]
        else:
            self.panels = layer.weights.transpose(0, 2, 1, 3).reshape(layer.n_block_rows, layer.block, -1).astype(self.dtype)
        self.bias = layer.aligned_bias().astype(self.dtype)[:, None]
        self.scale = self.dtype(2.0**-layer.shift)
        narrow = GATE if layer.cells else layer.output_format
        self.low, self.high = narrow.low, narrow.high
        self.recurrent = self._columns(layer.n_cells)

    def accumulate(self, x: np.ndarray) -> np.ndarray:
        """Sums of products plus bias (plus half a unit of the output): (n_in padded, T) integers -> (n_out, T) integers."""
        layer = self.layer
        if layer.kept is None:
            sums = self.panels[0] @ x
        else:
            blocks = x.reshape(layer.n_block_columns, layer.block_in, x.shape[1])
            sums = np.empty((layer.n_block_rows * layer.block, x.shape[1]), dtype=self.dtype)
            for row, columns in enumerate(layer.kept):
                gathered = blocks[columns].reshape(layer.kept_per_row * layer.block_in, x.shape[1])
                np.matmul(self.panels[row], gathered, out=sums[row * layer.block : (row + 1) * layer.block])
        sums = sums[: layer.n_out]
        sums += self.bias
        return sums

    def _columns(self, n: int) -> np.ndarray:
        """(n_out, n) weights of the first n inputs, zero where there are none."""
        layer = self.layer
        if layer.kept is None:
            return self.panels[0][:, :n]
        whole = np.zeros((layer.n_block_rows, layer.block, layer.n_block_columns, layer.block_in), dtype=self.dtype)
        for row, columns in enumerate(layer.kept):
            whole[row][:, columns] = layer.weights[row].transpose(1, 0, 2)
        return whole.reshape(-1, self.n_rows_in)[: layer.n_out, :n]

    def outputs(self, x: np.ndarray) -> np.ndarray:
        """What a hidden layer gives: (n_below, T) integers -> (n_given, T) integers, or fewer frames where the layer has offsets."""
        sums = self.accumulate(self.padded(x))
        return self._cells(sums) if self.layer.cells else self.requantise(sums)

    def _cells(self, fed: np.ndarray) -> np.ndarray:
        """(4H, T) sums over what comes from below -> (H, T), frame by frame from a state of zeros."""
        h = np.zeros((self.layer.n_cells, fed.shape[1] + 1), dtype=self.dtype)
        c = np.zeros(self.layer.n_cells, dtype=np.int64)
        for frame in range(fed.shape[1]):
            gates = self.requantise(fed[:, frame] + self.recurrent @ h[:, frame])
            c, h[:, frame + 1] = update(gates.astype(np.int64), c, self.layer.output_format)
        return h[:, 1:]

    def padded(self, x: np.ndarray) -> np.ndarray:
        """Bring (n_below, T) integers to the layer's inputs, its type and whole blocks; padding, and h of an earlier frame, is zero."""
        offsets = self.layer.offsets
        if offsets != (0,):
            n_frames = max(0, x.shape[1] - (offsets[-1] - offsets[0]))
            x = np.concatenate([x[:, offset - offsets[0] :][:, :n_frames] for offset in offsets])
        n_cells = self.layer.n_cells
        if x.shape[0] == self.n_rows_in:
            return np.ascontiguousarray(x, dtype=self.dtype)
        padded = np.zeros((self.n_rows_in, x.shape[1]), dtype=self.dtype)
        padded[n_cells : n_cells + x.shape[0]] = x
        return padded

    def requantise(self, sums: np.ndarray) -> np.ndarray:
        """Arithmetic shift right and saturation, in place; the half is in the bias already."""
        sums *= self.scale
        np.floor(sums, out=sums)
        return np.clip(sums, self.low, self.high, out=sums)


class IntegerEngine:
    """Computes a packed model.

    Args:
        model: from `read_packed`, or made by `cgs.quant.build.quantise`.
    Raises: ShapeError: the model is inconsistent or an accumulator may overflow.
    """

    def __init__(self, model: PackedModel) -> None:
        model.check()
        self.model = model
        self._layers = [_Layer(layer) for layer in model.layers]

    def logits(self, spliced: np.ndarray) -> np.ndarray:
        """Scores before the softmax.

        Args:
            spliced: (T, D) float, the network's normalised features: spliced for a feed-forward network, with the model's
                context around the frames that are wanted where its layers have offsets.
        Returns: (T - left - right, P) float32: the last accumulators times their power of two (rounded where one exceeds 24 bits).
        Raises: ShapeError: another width. DataError: a value that is not finite.
        """
        scale = 2.0 ** -self.model.layers[-1].accumulator_fraction_bits
        more = sum(self.model.context)
        logits = np.empty((max(0, len(spliced) - more), self.model.n_out), dtype=np.float32)
        step = max(len(spliced), 1) if self.model.remembers else CHUNK_FRAMES
        for start in range(0, len(logits), step):
            x = self._quantised(spliced[start : start + step + more], start)
            for layer in self._layers[:-1]:
                x = layer.outputs(x)
            here, last = logits[start : start + step], self._layers[-1]
            sums = last.accumulate(last.padded(x))
            here[:] = (sums[:, sums.shape[1] - len(here) :] * last.dtype(scale)).T
        return logits

    def integers(self, spliced: np.ndarray) -> list[np.ndarray]:
        """Every integer between layers, for comparison with hardware.

        Args:
            spliced: (T, D) float.
        Returns: int32 arrays: the inputs (T, D), the outputs (T, n_out) of each hidden layer, the accumulators (T, P) of the last;
            fewer frames after a layer with offsets, the ones that have all of theirs. Cells give an output for every frame, from a state of zeros.
        Raises: as `logits`.
        """
        outputs: list[list[np.ndarray]] = [[] for _ in range(len(self._layers) + 1)]
        step = max(len(spliced), 1) if self.model.remembers or any(self.model.context) else CHUNK_FRAMES
        for start in range(0, max(len(spliced), 1), step):
            x = self._quantised(spliced[start : start + step], start)
            outputs[0].append(x.T.astype(np.int32))
            for number, layer in enumerate(self._layers, start=1):
                x = layer.outputs(x) if layer.layer.hidden else layer.accumulate(layer.padded(x))
                outputs[number].append(x.T.astype(np.int32))
        return [np.concatenate(chunks) for chunks in outputs]

    def _quantised(self, spliced: np.ndarray, start: int) -> np.ndarray:
        if spliced.ndim != 2 or spliced.shape[1] != self.model.n_in:
            raise ShapeError(f"features {spliced.shape} for a model of {self.model.n_in} inputs", "splice them as the model's description says")
        form = self.model.layers[0].input_format
        finite = np.isfinite(spliced)
        if not finite.all():
            frame = start + int(np.flatnonzero(~finite.all(axis=1))[0])
            raise DataError(f"features of frame {frame}: a value is not finite", "check the features of this utterance")
        with np.errstate(over="ignore"):
            x = np.ldexp(np.ascontiguousarray(spliced.T), form.fraction_bits)
        return np.rint(np.clip(x, form.low, form.high, out=x), out=x)


def network_input(model: PackedModel, features: np.ndarray, left: int, right: int) -> np.ndarray:
    """An utterance as a packed model takes it: its frames with their context, spliced where every layer reads one frame.

    Args:
        model: a packed model.
        features: (T, D), normalised.
        left, right: frames before and after the current one, as the model's description says.
    """
    return (with_edges if any(model.context) else splice)(features, left, right)


def nonzero_share(model: PackedModel, spliced: np.ndarray) -> float:
    """Share of a frame's products that are not zero, neither their activation nor their weight, which is what the energy of multiplying goes with.

    Args:
        model: a packed model.
        spliced: (T, D) float, as for `IntegerEngine.logits`.
    Raises: as `IntegerEngine.logits`.
    """
    moving = total = 0
    integers = IntegerEngine(model).integers(spliced)
    for layer, values, outputs in zip(model.layers, integers, integers[1:], strict=False):
        of_before, from_below = np.split(_nonzero_by_input(layer), [layer.n_cells])
        uses = from_below.reshape(-1, layer.n_below).sum(axis=0)  # of each value, in all the frames that a layer reads
        moving += int(((values != 0) @ uses).sum()) + int(((outputs[:-1, : layer.n_cells] != 0) @ of_before).sum())
        total += layer.n_weights * len(values)
    return moving / total if total else 0.0


def _nonzero_by_input(layer: PackedLayer) -> np.ndarray:
    """(n_in,) numbers of weights that are not zero."""
    nonzero = (layer.weights != 0) & layer.real_weights()
    if layer.kept is None:
        return nonzero.sum(axis=0)
    found = np.zeros(layer.n_block_columns * layer.block_in, dtype=np.int64)
    np.add.at(found, layer.kept[:, :, None].astype(np.int64) * layer.block_in + np.arange(layer.block_in), nonzero.sum(axis=2))
    return found[: layer.n_in]
