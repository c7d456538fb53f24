"""Feed-forward acoustic and keyword networks: their shape, first weights and files.

Owns `NetworkSpec`, from which a network follows completely, and the pair model.safetensors, model.json."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import safetensors.torch
import torch
from pydantic import Field
from safetensors import SafetensorError
from torch import nn

from cgs.base.errors import FormatError, ShapeError
from cgs.base.files import read_json, write_json, writing
from cgs.base.options import Fraction, Options, Positive
from cgs.nn.dropout import relu_dropout
from cgs.sparse.layer import BlockSparseLinear
from cgs.sparse.mask import BlockMask, draw_mask, layer_seed

WEIGHTS_FILE, MODEL_FILE = "model.safetensors", "model.json"
Layer = nn.Linear | BlockSparseLinear


class NetworkSpec(Options):
    """Everything a network's shape, masks and first weights follow from."""

    n_in: Positive = Field(description="inputs: features x spliced frames")
    hidden: tuple[Positive, ...] = Field(min_length=1, description="widths of the hidden layers")
    n_out: Positive = Field(description="outputs: pdfs or keyword classes")
    method: Literal["dense", "cgs"] = Field("dense", description="fully connected, or coarse-grain sparse")
    density: float = Field(1.0, gt=0, le=1, description="share of the weight blocks kept")
    block: Positive = Field(1, description="side of a block, in weights")
    dense_output: bool = Field(False, description="keep the output layer dense")
    dropout: Fraction = Field(0.0, description="of hidden outputs during training")
    seed: int = Field(0, description="of the masks and the first weights")

    def shapes(self) -> list[tuple[int, int]]:
        """(n_out, n_in) of every layer."""
        widths = [self.n_in, *self.hidden, self.n_out]
        return list(zip(widths[1:], widths[:-1], strict=True))

    def draw_masks(self) -> list[BlockMask | None]:
        """One mask for each layer, None where it is dense. Raises: ConfigError: a layer too small for block and density."""
        shapes = self.shapes()
        if self.method == "dense":
            return [None] * len(shapes)
        masks: list[BlockMask | None] = [draw_mask(*shape, self.block, self.density, layer_seed(self.seed, layer)) for layer, shape in enumerate(shapes[:-1])]
        return [*masks, None if self.dense_output else draw_mask(*shapes[-1], self.block, self.density, layer_seed(self.seed, len(shapes) - 1))]


class Network(nn.Module):
    """What networks of every kind have: weight matrices from input to output, each dense or block-sparse.

    Args:
        spec: the network's shape.
        masks: a mask for each matrix, None where it is dense; drawn from the spec's seed where not given.
    Attributes:
        layers: the matrices with their biases, filled in by each kind.
    """

    layers: nn.ModuleList

    def __init__(self, spec: NetworkSpec, masks: list[BlockMask | None] | None = None) -> None:
        super().__init__()
        self.spec = spec
        self.masks = spec.draw_masks() if masks is None else masks

    def each_layer(self) -> Iterator[Layer]:
        """The layers, typed."""
        yield from self.layers  # type: ignore[misc]

    @property
    def n_weights(self) -> int:
        """Weights of the dense network of this shape, biases not counted."""
        return sum(n_out * n_in for n_out, n_in in self.spec.shapes())

    @property
    def n_weights_kept(self) -> int:
        """Weights that exist, padding and biases not counted."""
        shapes = self.spec.shapes()
        return sum(mask.n_weights_kept if mask else n_out * n_in for mask, (n_out, n_in) in zip(self.masks, shapes, strict=True))


class FeedForward(Network):
    """Linear layers, dense or block-sparse, with ReLU and dropout between them; the last outputs are logits.

    Args:
        spec, masks: see `Network`.
    """

    def __init__(self, spec: NetworkSpec, masks: list[BlockMask | None] | None = None) -> None:
        super().__init__(spec, masks)
        generator = torch.Generator().manual_seed(spec.seed)
        gains = [2.0**0.5] * len(spec.hidden) + [1.0]
        self.layers = nn.ModuleList(_first_layer(shape, mask, gain, generator) for shape, mask, gain in zip(spec.shapes(), self.masks, gains, strict=True))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(T, n_in) features -> (T, n_out) logits. Raises: ShapeError: another width."""
        if x.ndim != 2 or x.shape[1] != self.spec.n_in:
            raise ShapeError(f"input of shape {tuple(x.shape)} to a network of {self.spec.n_in} inputs", "check feature kind and context")
        dropout = self.spec.dropout if self.training else 0.0
        if self.spec.method == "dense":
            for layer in self.layers[:-1]:
                x = relu_dropout(layer(x), dropout)
            return self.layers[-1](x)
        x = x.t().contiguous()
        for layer in list(self.each_layer())[:-1]:
            x = relu_dropout(feature_major(layer, x), dropout)
        return feature_major(self.layers[-1], x).t()  # type: ignore[arg-type]


def feature_major(layer: Layer, x: torch.Tensor) -> torch.Tensor:
    """(n_in, T) -> (n_out, T) through either kind of layer."""
    if isinstance(layer, BlockSparseLinear):
        return layer.feature_major(x)
    return torch.addmm(layer.bias[:, None], layer.weight, x)


def build_network(spec: NetworkSpec) -> FeedForward:
    """The network of a spec with its first weights; the same spec gives the same bytes."""
    return FeedForward(spec)


def save_network(directory: Path, network: FeedForward, meta: dict[str, Any]) -> None:
    """Write model.safetensors and model.json.

    Args:
        directory: where to write.
        network: its weights and masks.
        meta: what else model.json says: task, system, features, classes, log_prior.
    """
    blob = safetensors.torch.save({name: tensor.detach().cpu().contiguous() for name, tensor in network.state_dict().items()})
    with writing(directory / WEIGHTS_FILE, "wb") as stream:
        stream.write(blob)
    facts = {
        "spec": network.spec.model_dump(mode="json"),
        "mask_checksums": [mask.checksum if mask else None for mask in network.masks],
        "n_weights": network.n_weights,
        "n_weights_kept": network.n_weights_kept,
        "weights_sha256": hashlib.sha256(blob).hexdigest(),
    }
    write_json(directory / MODEL_FILE, meta | facts)


def load_network(directory: Path) -> tuple[FeedForward, dict[str, Any]]:
    """Read a network and its model.json; the masks come from the file, not from the seed.

    Raises: DataError: model.json missing. FormatError: weights truncated, altered or of another mask.
    """
    meta, path = read_json(directory / MODEL_FILE), directory / WEIGHTS_FILE
    try:
        blob = path.read_bytes()
        state = safetensors.torch.load(blob)
    except (OSError, SafetensorError) as error:
        raise FormatError(f"{path}: cannot be read ({error})", "train the network again") from error
    if hashlib.sha256(blob).hexdigest() != meta["weights_sha256"]:
        raise FormatError(f"{path}: altered since it was written", "train the network again")
    spec = NetworkSpec(**meta["spec"])
    masks: list[BlockMask | None] = []
    for layer, (n_out, n_in) in enumerate(spec.shapes()):
        kept = state.get(f"layers.{layer}.kept")
        masks.append(None if kept is None else BlockMask(n_out, n_in, spec.block, kept.numpy(), layer_seed(spec.seed, layer)))
    if [mask.checksum if mask else None for mask in masks] != meta["mask_checksums"]:
        raise FormatError(f"{path}: block masks are not those of {MODEL_FILE}", "train the network again")
    network = FeedForward(spec, masks)
    network.load_state_dict(state)
    return network.eval(), meta


def _first_layer(shape: tuple[int, int], mask: BlockMask | None, gain: float, generator: torch.Generator) -> Layer:
    if mask is not None:
        return BlockSparseLinear(mask, generator, gain)
    n_out, n_in = shape
    layer = nn.utils.skip_init(nn.Linear, n_in, n_out)
    with torch.no_grad():
        layer.weight.copy_(torch.randn(n_out, n_in, generator=generator) * (gain / n_in**0.5))
        layer.bias.zero_()
    return layer
