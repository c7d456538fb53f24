"""The sections of a layer in the packed file, in every form that they can take, as docs/packed-format.md lays them out. NumPy only.

A form changes how many bytes hold a layer's block indices or weights, never what they are."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from cgs.quant.bitpack import pack_bits, packed_bytes, unpack_bits
from cgs.quant.model import PackedLayer
from cgs.quant.precisions import read_precisions, two_precisions
from cgs.quant.rans import VALUES_A_BYTE, decode_values, encode_values

INDEX_FORMS = PLAIN, TWO_LEVELS = "plain", "two_levels"
WEIGHT_FORMS = PLAIN, BITMAP, CODED, TWO_PRECISIONS = "plain", "bitmap", "coded", "two_precisions"
"""Names of the forms; the file holds their place in these lists."""
MAX_SIDE = (1 << 16) - 1
ROOM, ROOM_A_BYTE = 1 << 26, 64
"""Weights of blocks that a reader makes room for, padding of edge blocks included: so many, and so many more for each byte of the file."""


@dataclass(frozen=True)
class TwoLevels:
    """Kept blocks as coarse blocks and what is kept inside them.

    Args:
        side: g, of a coarse block, in blocks.
        coarse: (ceil(R / g), G) coarse block columns kept in each coarse block row, rising.
        fine: (R, G, K / G) block columns kept in each of them, counted from its first one, rising.
    """

    side: int
    coarse: np.ndarray
    fine: np.ndarray

    def kept(self) -> np.ndarray:
        """(R, K) block columns."""
        firsts = self.coarse.repeat(self.side, axis=0)[: len(self.fine)] * self.side
        return (firsts[:, :, None] + self.fine).reshape(len(self.fine), -1)

    def levels(self, n_block_columns: int) -> tuple[bytes, bytes]:
        """The indices of the coarse blocks, and those of the blocks in them."""
        n_coarse = -(-n_block_columns // self.side)
        return pack_bits(self.coarse, (n_coarse - 1).bit_length()), pack_bits(self.fine, (self.side - 1).bit_length())

    def encode(self, n_block_columns: int) -> bytes:
        """The bytes of the section."""
        return np.array([self.side, self.coarse.shape[1]], dtype="<u2").tobytes() + b"".join(self.levels(n_block_columns))


def two_levels(kept: np.ndarray, n_block_columns: int) -> TwoLevels | None:
    """Find the coarse blocks that kept blocks lie in: the same number in every coarse block row, equally many kept blocks of each in every block row.

    Args:
        kept: (R, K) block columns, rising.
        n_block_columns: C.
    Returns: what takes the fewest bytes, of all sides; None where the blocks have no such order.
    """
    found = (_with_side(kept, side) for side in range(2, min(n_block_columns - 1, MAX_SIDE) + 1))
    return min((levels for levels in found if levels), key=lambda levels: len(levels.encode(n_block_columns)), default=None)


def _with_side(kept: np.ndarray, side: int) -> TwoLevels | None:
    first = np.unique(kept[0] // side)
    each, rest = divmod(kept.shape[1], len(first))
    if rest or (kept[0] // side != first.repeat(each)).any():
        return None
    coarse = kept[::side, ::each] // side
    expected = coarse.repeat(side, axis=0)[: len(kept)].repeat(each, axis=1)
    if (kept // side != expected).any() or (np.diff(coarse, axis=1) <= 0).any():
        return None
    return TwoLevels(side, coarse, (kept - expected * side).reshape(len(kept), len(first), each))


def index_sections(layer: PackedLayer) -> dict[str, bytes]:
    """The block indices of a layer in every form that can hold them; nothing for a dense layer."""
    if layer.kept is None:
        return {PLAIN: b""}
    levels = two_levels(layer.kept, layer.n_block_columns)
    return {PLAIN: pack_bits(layer.kept, layer.index_bits)} | ({TWO_LEVELS: levels.encode(layer.n_block_columns)} if levels else {})


def weight_sections(layer: PackedLayer) -> dict[str, bytes]:
    """The weights of a layer that exist, in every form that can hold them: next to nothing but zeros would be coded in fewer bytes than a reader believes."""
    values = stored_weights(layer)
    code = encode_values(values, layer.bits)
    sections = {PLAIN: pack_bits(values, layer.bits), BITMAP: pack_bits(values != 0, 1) + pack_bits(values[values != 0], layer.bits)}
    sections |= {CODED: len(code).to_bytes(4, "little") + code} if len(values) <= VALUES_A_BYTE * len(code) else {}
    return sections | _mixed_section(layer)


def _mixed_section(layer: PackedLayer) -> dict[str, bytes]:
    precisions = two_precisions(layer)
    return {TWO_PRECISIONS: precisions.encode(stored_weights(layer))} if precisions else {}


def storage_of(weight_forms: set[str]) -> Literal["plain", "mixed", "smallest"]:
    """The `PackedModel.storage` that gives the same bytes again to a file of these forms."""
    return "smallest" if weight_forms & {BITMAP, CODED} else "mixed" if TWO_PRECISIONS in weight_forms else "plain"


def stored_weights(layer: PackedLayer) -> np.ndarray:
    """(n_weights,) int8, the weights of a layer that exist, in the order of the file."""
    return layer.weights[layer.real_weights()] if layer.block else layer.weights.ravel()


def smallest(sections: dict[str, bytes]) -> str:
    """The form of fewest bytes, the simplest of equals."""
    return min(sections, key=lambda form: len(sections[form]))


@dataclass(frozen=True)
class Sections:
    """What the file holds of a layer beside its header and offsets: the forms of indices and weights, and the bytes."""

    index_form: str
    weight_form: str
    index: bytes
    weights: bytes
    bias: bytes

    @property
    def n_bytes(self) -> tuple[int, int, int]:
        """Bytes of indices, weights and biases."""
        return len(self.index), len(self.weights), len(self.bias)


def layer_sections(layer: PackedLayer, storage: str) -> Sections:
    """The sections of a layer as they are written.

    Args:
        layer: checked.
        storage: see `PackedModel`; indices take the form of fewest bytes always.
    """
    index = index_sections(layer)
    if storage == "smallest":
        weights = weight_sections(layer)
    else:
        weights = {PLAIN: pack_bits(stored_weights(layer), layer.bits)} | (_mixed_section(layer) if storage == "mixed" else {})
    index_form, weight_form = smallest(index), smallest(weights)
    return Sections(index_form, weight_form, index[index_form], weights[weight_form], pack_bits(layer.bias, layer.bias_bits))


class Reader:
    """Takes one section after the other.

    Args:
        data: what is left of the file.
    Raises: ValueError, from its methods: too few bytes, or none that a writer gives; says what in a few words.
    """

    def __init__(self, data: memoryview) -> None:
        self.rest, self.room = data, ROOM + ROOM_A_BYTE * len(data)

    def bytes(self, n_bytes: int) -> memoryview:
        """The next bytes."""
        if n_bytes > len(self.rest):
            raise ValueError(f"needs {n_bytes} bytes where {len(self.rest)} are left")
        taken, self.rest = self.rest[:n_bytes], self.rest[n_bytes:]
        return taken

    def blocks(self, shape: tuple[int, ...]) -> np.ndarray:
        """Room for the weights of a layer's blocks, int8 zeros; a file of narrow edge blocks must not ask for more than its length allows."""
        self.room -= math.prod(shape)
        if self.room < 0:
            raise ValueError(f"blocks {shape}, which are next to nothing but padding")
        return np.zeros(shape, dtype=np.int8)

    def values(self, n_values: int, bits: int, signed: bool) -> np.ndarray:
        """The next integers, (n_values,) int64."""
        return unpack_bits(self.bytes(packed_bytes(n_values, bits)), n_values, bits, signed)

    def index(self, form: str, rows: int, columns: int, n_kept: int) -> np.ndarray:
        """(R, K) block columns, as the file says."""
        if form == PLAIN:
            return self.values(rows * n_kept, (columns - 1).bit_length(), signed=False).reshape(rows, n_kept)
        side, n_coarse = self.values(2, 16, signed=False).tolist()
        coarse_columns = -(-columns // max(side, 1))
        if side < 2 or not 1 <= n_coarse <= coarse_columns or n_kept % n_coarse:
            raise ValueError(f"{n_kept} blocks kept in a row, in {n_coarse} coarse blocks of side {side}")
        coarse = self.values(-(-rows // side) * n_coarse, (coarse_columns - 1).bit_length(), signed=False).reshape(-1, n_coarse)
        fine = self.values(rows * n_kept, (side - 1).bit_length(), signed=False).reshape(rows, n_coarse, -1)
        return TwoLevels(side, coarse, fine).kept()

    def weights(self, form: str, n_weights: int, bits: int, sizes: np.ndarray | None = None) -> np.ndarray:
        """(n_weights,) integers; `sizes`, (R * K,): how many each block of a sparse layer has."""
        if form == PLAIN:
            return self.values(n_weights, bits, signed=True)
        if form == TWO_PRECISIONS:
            return read_precisions(self.bytes, bits, sizes)
        if form == CODED:
            return decode_values(self.bytes(int.from_bytes(self.bytes(4), "little")), n_weights, bits)
        kept = self.values(n_weights, 1, signed=False) != 0
        weights = np.zeros(n_weights, dtype=np.int64)
        weights[kept] = self.values(int(kept.sum()), bits, signed=True)
        if not weights[kept].all():
            raise ValueError("a weight of zero where its bitmap says that it is none")
        return weights
