"""The kinds of networks and their files: the pair model.safetensors, model.json."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from safetensors import SafetensorError

from cgs.base.errors import FormatError
from cgs.base.files import read_json, write_json, writing
from cgs.nn.feedforward import FeedForward, NetworkSpec
from cgs.nn.layers import Layer, Network, Spec, feature_major
from cgs.nn.lstm import Lstm, LstmSpec
from cgs.nn.tdnn import Tdnn, TdnnSpec
from cgs.sparse.mask import BlockMask, layer_seed

__all__ = ["FeedForward", "Layer", "Network", "NetworkSpec", "Spec", "build_network", "feature_major", "load_network", "save_network"]

WEIGHTS_FILE, MODEL_FILE = "model.safetensors", "model.json"
KINDS: dict[str, tuple[type[Spec], type[Network]]] = {"feedforward": (NetworkSpec, FeedForward), "tdnn": (TdnnSpec, Tdnn), "lstm": (LstmSpec, Lstm)}
"""By what model.json calls them; a feed-forward network says nothing there."""


def build_network(spec: Spec, masks: list[BlockMask | None] | None = None) -> Network:
    """The network of a spec with its first weights; the same spec gives the same bytes.

    Args:
        spec: of any kind.
        masks: see `Network`.
    """
    return KINDS[getattr(spec, "model", "feedforward")][1](spec, masks)  # type: ignore[call-arg, arg-type]


def save_network(directory: Path, network: Network, meta: dict[str, Any]) -> None:
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
        "mask_checksums": network.mask_checksums,
        "n_weights": network.n_weights,
        "n_weights_kept": network.n_weights_kept,
        "weights_sha256": hashlib.sha256(blob).hexdigest(),
    }
    write_json(directory / MODEL_FILE, meta | facts)


def load_network(directory: Path) -> tuple[Network, dict[str, Any]]:
    """Read a network of any kind and its model.json; the masks come from the file, not from the seed.

    Raises: DataError: model.json missing. FormatError: weights truncated, altered or of another mask, or of a kind not known here.
    """
    meta, path = read_json(directory / MODEL_FILE), directory / WEIGHTS_FILE
    try:
        blob = path.read_bytes()
        state = safetensors.torch.load(blob)
    except (OSError, SafetensorError) as error:
        raise FormatError(f"{path}: cannot be read ({error})", "train the network again") from error
    if hashlib.sha256(blob).hexdigest() != meta["weights_sha256"]:
        raise FormatError(f"{path}: altered since it was written", "train the network again")
    kind = meta["spec"].get("model", "feedforward")
    if kind not in KINDS:
        raise FormatError(f"{directory / MODEL_FILE}: a network of the kind {kind!r}", f"this program knows {', '.join(KINDS)}; train it again")
    spec = KINDS[kind][0](**meta["spec"])
    masks: list[BlockMask | None] = []
    for layer, ((n_out, n_in), (block, block_in)) in enumerate(zip(spec.shapes(), spec.blocks(), strict=True)):
        kept = state.get(f"layers.{layer}.kept")
        if kept is None or kept.dtype == torch.bool:
            masks.append(None)
        else:
            masks.append(BlockMask(n_out, n_in, block, kept.numpy(), layer_seed(spec.seed, layer), block_in))
    network = build_network(spec, masks)
    network.load_state_dict(state)
    if network.mask_checksums != meta["mask_checksums"]:
        raise FormatError(f"{path}: masks are not those of {MODEL_FILE}", "train the network again")
    return network.eval(), meta
