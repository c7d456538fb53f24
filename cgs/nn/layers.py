"""What networks of every kind are made of: weight matrices from input to output, dense or block-sparse, drawn from a spec.

Owns `Spec` and `Network`; the kinds are in `cgs.nn.feedforward`, `cgs.nn.tdnn` and `cgs.nn.lstm`."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from pydantic import Field
from torch import nn

from cgs.base.errors import ShapeError
from cgs.base.options import BLOCK_METHODS, BlockWidth, Fraction, Method, Options, Positive, Share, each
from cgs.sparse.hierarchy import draw_hierarchical_mask
from cgs.sparse.layer import BlockSparseLinear
from cgs.sparse.lowrank import LowRankLinear, rank_of
from cgs.sparse.mask import BlockMask, draw_mask, layer_seed
from cgs.sparse.masked import MaskedLinear
from cgs.sparse.pruning import PRUNED, Pruner, block_mask

Matrix = nn.Linear | BlockSparseLinear
Layer = Matrix | LowRankLinear
HE_GAIN = 2.0**0.5
"""Of the first weights before a ReLU."""


@dataclass(frozen=True)
class Product:
    """One matrix product of a network, bias added: a layer, or a factor of one.

    Args:
        matrix: what the inputs are multiplied by.
        layer: number of the layer that it belongs to, from 0.
        offsets: frames of the layer below that it reads, side by side.
        relu: whether a ReLU follows: none does between the factors of a layer, nor after the output layer.
        recurrent: U of a layer of cells, which follow; `matrix` is its W.
    """

    matrix: Matrix
    layer: int
    offsets: tuple[int, ...]
    relu: bool
    recurrent: Matrix | None = None

    @property
    def matrices(self) -> list[Matrix]:
        """Its matrix, and U if there is one."""
        return [self.matrix] if self.recurrent is None else [self.matrix, self.recurrent]


class Spec(Options):
    """Everything a network's shape, masks and first weights follow from; each kind adds its own fields."""

    n_in: Positive = Field(description="inputs of a frame: features, x spliced frames for a feed-forward network")
    hidden: tuple[Positive, ...] = Field(min_length=1, description="widths of the hidden layers")
    n_out: Positive = Field(description="outputs: pdfs or keyword classes")
    method: Method = Field("dense", description="fully connected, coarse-grain sparse or a rival; see SystemOptions")
    density: Share | tuple[Share, ...] = Field(1.0, description="share of the weights kept, of all matrices or of each")
    block: Positive | tuple[Positive, ...] = Field(1, description="outputs of a block, the side of a square one, of all matrices or of each")
    block_in: BlockWidth | tuple[BlockWidth, ...] = Field(0, exclude_if=operator.not_, description="inputs of a block; 0: square")
    coarse: Positive | tuple[Positive, ...] = Field(1, description="side of a block of the upper level, hcgs")
    coarse_density: float = Field(0.0, ge=0, le=1, description="share of those kept; 0: the square root of the density")
    dense_input: bool = Field(False, description="keep the first layer dense")
    dense_output: bool = Field(False, description="keep the output layer dense")
    balanced: bool = Field(True, exclude_if=bool, description="as many blocks in every block row")
    dropout: Fraction = Field(0.0, description="of hidden outputs during training")
    seed: int = Field(0, description="of the masks and the first weights")

    remembers: ClassVar[bool] = False
    """True where a frame's output depends on all frames before it."""

    def shapes(self) -> list[tuple[int, int]]:
        """(n_out, n_in) of every weight matrix, from input to output; the last is the output layer's."""
        raise NotImplementedError

    def layer_offsets(self) -> list[tuple[int, ...]]:
        """Frames of the layer below that each matrix reads side by side, rising; the current one alone unless a kind says more."""
        return [(0,)] * len(self.shapes())

    @property
    def context(self) -> tuple[int, int] | None:
        """Frames before and after the current one that a network of sequences reads; None where its inputs come spliced."""
        return None

    @property
    def n_unnamed(self) -> int:
        """Frames that a network which remembers hears before the first one that it names."""
        return 0

    def blocks(self) -> list[tuple[int, int]]:
        """Outputs and inputs of a block of every matrix."""
        n_layers = len(self.shapes())
        return [(block, block_in or block) for block, block_in in zip(each(self.block, n_layers), each(self.block_in, n_layers), strict=True)]

    def sparse(self) -> list[bool]:
        """Which matrices the method applies to."""
        n_layers = len(self.shapes())
        return [self.method != "dense" and not (n == 0 and self.dense_input or n == n_layers - 1 and self.dense_output) for n in range(n_layers)]

    def draw_masks(self) -> list[BlockMask | None]:
        """One mask for each matrix, None where it is dense or is chosen in training. Raises: ConfigError: a matrix too small for block and density."""
        shapes = self.shapes()
        if self.method not in ("cgs", "hcgs") or not self.balanced:
            return [None] * len(shapes)
        blocks, coarse, densities = self.blocks(), each(self.coarse, len(shapes)), each(self.density, len(shapes))
        masks: list[BlockMask | None] = []
        for layer, ((n_out, n_in), sparse, (block, block_in), density) in enumerate(zip(shapes, self.sparse(), blocks, densities, strict=True)):
            seed = layer_seed(self.seed, layer)
            if not sparse or density == 1:
                masks.append(None)
            elif self.method == "hcgs":
                masks.append(draw_hierarchical_mask(n_out, n_in, coarse[layer], block, density, seed, self.coarse_density or None, block_in))
            else:
                masks.append(draw_mask(n_out, n_in, block, density, seed, block_in))
        return masks

    def products(self, layers: list[Layer]) -> list[Product]:
        """The matrix products that a network's layers make; see `Network`."""
        told: list[Product] = []
        for number, (layer, offsets) in enumerate(zip(layers, self.layer_offsets(), strict=True)):
            hidden = number < len(layers) - 1
            if isinstance(layer, LowRankLinear):
                told += [Product(layer.first, number, offsets, relu=False), Product(layer.second, number, (0,), relu=hidden)]
            else:
                told.append(Product(layer, number, offsets, relu=hidden))
        return told

    def ranks(self) -> list[int | None]:
        """Rank of the two factors that stand for each matrix, None where it is whole. Raises: ConfigError: a matrix too small for its density."""
        parts = zip(self.shapes(), self.sparse(), each(self.density, len(self.shapes())), strict=True)
        return [rank_of(*shape, density) if self.method == "lowrank" and sparse and density < 1 else None for shape, sparse, density in parts]


class Network(nn.Module):
    """What networks of every kind have.

    Args:
        spec: the network's shape.
        masks: a mask for each matrix, None where it is dense; drawn from the spec's seed where not given.
        gains: of the first weights of each matrix: their variance is gain^2 / inputs.
    Attributes:
        layers: every weight matrix of `spec.shapes()` with its bias, whole, in blocks or as two factors; those that a method prunes in training
            are `MaskedLinear`, until `settle`.
    """

    def __init__(self, spec: Spec, masks: list[BlockMask | None] | None, gains: Sequence[float]) -> None:
        super().__init__()
        self.spec: Spec = spec
        self.masks = spec.draw_masks() if masks is None else masks
        generator = torch.Generator().manual_seed(spec.seed)
        pruned = [sparse and (spec.method in PRUNED or not spec.balanced) for sparse in spec.sparse()]
        parts = zip(spec.shapes(), self.masks, spec.ranks(), pruned, gains, strict=True)
        self.layers = nn.ModuleList(_first_layer(*part, generator) for part in parts)

    def each_layer(self) -> Iterator[Layer]:
        """The layers, typed."""
        yield from self.layers  # type: ignore[misc]

    def products(self) -> list[Product]:
        """The matrix products of the network from input to output, as an engine makes them that knows nothing of factors."""
        return self.spec.products(list(self.each_layer()))

    @property
    def n_layers(self) -> int:
        """Layers that have bits of their own when packed: two factors are one, and so are the two matrices of a layer of cells."""
        return self.products()[-1].layer + 1

    def pruner(self) -> Pruner:
        """What changes the masks that are chosen in training, none of them where the method has no such."""
        n_layers = len(self.spec.shapes())
        return Pruner(self.layers, self.spec.method, self.spec.blocks(), each(self.spec.density, n_layers), self.spec.seed, self.spec.balanced)

    @torch.no_grad()
    def begin_with(self, trained: Network) -> None:
        """Take the weights of a trained dense network: each layer as much of its matrix as it can hold. Raises: ShapeError: one of other shapes."""
        if trained.spec.shapes() != self.spec.shapes():
            told = f"a network of layers {trained.spec.shapes()} to begin one of {self.spec.shapes()} with"
            raise ShapeError(told, "train both on the same features and labels")
        for layer, whole in zip(self.each_layer(), trained.each_layer(), strict=True):
            if isinstance(layer, BlockSparseLinear | LowRankLinear):
                layer.copy_dense(whole.weight, whole.bias)  # type: ignore[arg-type]  # all of a dense network are linear layers
            else:
                layer.load_state_dict(whole.state_dict(), strict=False)  # a dense network has no mask

    def settle(self) -> None:
        """Turn layers whose blocks were chosen in training into block-sparse layers of the same weights."""
        for number, (layer, sides) in enumerate(zip(self.each_layer(), self.spec.blocks(), strict=True)):
            if isinstance(layer, MaskedLinear) and self.spec.method in BLOCK_METHODS and self.spec.balanced:
                mask = block_mask(layer, *sides)
                self.masks[number], self.layers[number] = mask, BlockSparseLinear.of_dense(mask, layer.weight, layer.bias)

    @property
    def mask_checksums(self) -> list[str | None]:
        """Identity of the mask of each matrix, None where it is dense."""
        return [mask.checksum if mask else layer.checksum if isinstance(layer, MaskedLinear) else None
                for mask, layer in zip(self.masks, self.each_layer(), strict=True)]

    @property
    def n_weights(self) -> int:
        """Weights of the dense network of this shape, biases not counted."""
        return sum(n_out * n_in for n_out, n_in in self.spec.shapes())

    @property
    def n_parameters_dense(self) -> int:
        """Weights and biases of the dense network of this shape."""
        return self.n_weights + sum(layer.out_features for layer in self.each_layer() if layer.bias is not None)

    @property
    def n_weights_kept(self) -> int:
        """Weights that exist, padding and biases not counted."""
        return sum(_n_kept(layer, mask) for layer, mask in zip(self.each_layer(), self.masks, strict=True))


def feature_major(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    """(n_in, T) -> (n_out, T) through a layer of any kind."""
    if isinstance(layer, BlockSparseLinear | LowRankLinear):
        return layer.feature_major(x)
    return torch.addmm(layer.bias[:, None], layer.weight, x)


def features_first(x: torch.Tensor, spec: Spec) -> torch.Tensor:
    """Inputs (N, T, D) of a network of sequences as (D, N, T), checked. Raises: ShapeError: another width, or fewer frames than its context."""
    left, right = spec.context or (0, 0)
    if x.ndim != 3 or x.shape[2] != spec.n_in or x.shape[1] <= left + right:
        what = f"input of shape {tuple(x.shape)} to a network of {spec.n_in} inputs a frame that reads {left} + 1 + {right} frames"
        raise ShapeError(what, "expected (utterances, frames with their context, features)")
    return x.permute(2, 0, 1)


def spliced(x: torch.Tensor, offsets: Sequence[int]) -> torch.Tensor:
    """Put frames of each utterance side by side.

    Args:
        x: (D, N, T), feature-major.
        offsets: which frames, relative to the current one, rising.
    Returns: (len(offsets) * D, N, T - span), for the frames that have all of theirs; contiguous.
    """
    if tuple(offsets) == (0,):
        return x.contiguous()
    n_frames = x.shape[2] - (offsets[-1] - offsets[0])
    return torch.cat([x[:, :, offset - offsets[0] :][:, :, :n_frames] for offset in offsets])


def _n_kept(layer: Layer, mask: BlockMask | None) -> int:
    if mask:
        return mask.n_weights_kept
    return layer.n_weights_kept if isinstance(layer, MaskedLinear | LowRankLinear) else layer.out_features * layer.in_features


def _first_layer(shape: tuple[int, int], mask: BlockMask | None, rank: int | None, prunes: bool, gain: float, generator: torch.Generator) -> Layer:
    if mask is not None:
        return BlockSparseLinear(mask, generator, gain)
    n_out, n_in = shape
    if rank is not None:
        return LowRankLinear(n_in, n_out, rank, generator, gain)
    if prunes:
        return MaskedLinear(n_in, n_out, generator, gain)
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) * (gain / n_in**0.5))
        layer.bias.zero_()
    return layer
