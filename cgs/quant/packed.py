"""The packed file: a fixed-point network as bytes, exactly as docs/packed-format.md lays them out. NumPy only.

A file is read only after its length and its checksum are right, and used only after every layer has been checked."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np

from cgs.base.errors import FormatError, ShapeError
from cgs.base.files import writing
from cgs.quant.bitpack import pack_bits, packed_bytes, unpack_bits
from cgs.quant.model import MAX_BLOCK, PackedLayer, PackedModel, kept_weights

__all__ = ["PackedLayer", "PackedModel", "decode", "encode", "read_packed", "write_packed"]

MAGIC = b"\x89CGS\r\n\x1a\n"
VERSIONS = FRAME_BY_FRAME, WITH_OFFSETS = 1, 2
"""Version 1 holds networks whose layers read one frame; it is still written for those, so that their files stay what they were."""
FILE_HEADER = struct.Struct("<8sHHII")
LAYER_HEADER = struct.Struct("<IIHHBBBBBBbbbbH")
DIGEST_BYTES = 32
INPUT_SIGNED, RELU = 1, 2
MAX_META_BYTES = 4096


def section_bytes(layer: PackedLayer) -> tuple[int, int, int]:
    """Bytes of a layer's block indices, weights and biases in the file."""
    n_kept = layer.n_block_rows * layer.kept_per_row
    return packed_bytes(n_kept, layer.index_bits), packed_bytes(layer.n_weights, layer.bits), packed_bytes(layer.n_out, layer.bias_bits)


def encode(model: PackedModel) -> bytes:
    """The bytes of the packed file.

    Raises: ShapeError: a layer that does not fit, whose accumulator may overflow, or a `meta` too large for the file.
    """
    model.check()
    meta = json.dumps(model.meta, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    if len(meta) > MAX_META_BYTES:
        raise ShapeError(f"cannot pack the model: its description takes {len(meta)} bytes of {MAX_META_BYTES}", "shorten its class names")
    version = WITH_OFFSETS if any(layer.offsets != (0,) for layer in model.layers) else FRAME_BY_FRAME
    parts = [_layer_header(layer, version) for layer in model.layers] + [meta]
    for layer in model.layers:
        if version == WITH_OFFSETS:
            parts.append(np.array(layer.offsets, dtype=np.int8).tobytes())
        if layer.kept is not None:
            parts.append(pack_bits(layer.kept, layer.index_bits))
        parts.append(pack_bits(layer.weights[layer.real_weights()] if layer.block else layer.weights, layer.bits))
        parts.append(pack_bits(layer.bias, layer.bias_bits))
    body = b"".join(parts)
    n_bytes = FILE_HEADER.size + len(body) + DIGEST_BYTES
    body = FILE_HEADER.pack(MAGIC, version, len(model.layers), len(meta), n_bytes) + body
    return body + hashlib.sha256(body).digest()


def _layer_header(layer: PackedLayer, version: int) -> bytes:
    flags = INPUT_SIGNED * layer.input_signed + RELU * layer.relu
    n_offsets = len(layer.offsets) if version == WITH_OFFSETS else 0
    return LAYER_HEADER.pack(
        layer.n_in, layer.n_out, layer.block, layer.kept_per_row, layer.bits, layer.bias_bits, layer.input_bits, layer.output_bits, flags, n_offsets,
        layer.weight_fraction_bits, layer.bias_fraction_bits, layer.input_fraction_bits, layer.output_fraction_bits, 0,
    )  # fmt: skip


def write_packed(path: Path, model: PackedModel) -> int:
    """Write a packed file whole or not at all.

    Returns: its bytes.
    Raises: ShapeError: see `encode`. DiskError: no space or no permission.
    """
    data = encode(model)
    with writing(path, "wb") as stream:
        stream.write(data)
    return len(data)


def read_packed(path: Path) -> PackedModel:
    """Read a packed file. Raises: FormatError: missing, truncated, altered, of another version or not ours."""
    try:
        data = path.read_bytes()
    except (FileNotFoundError, IsADirectoryError) as error:
        raise FormatError(f"{path}: no such file", "check the path, or run stage 7 (pack)") from error
    return decode(data, str(path))


def decode(data: bytes, name: str) -> PackedModel:
    """Read the bytes of a packed file.

    Args:
        data: the whole file.
        name: the file's name, for messages.
    Raises: FormatError: truncated, altered, of another version or not ours.
    """
    version, n_layers, n_meta = _checked(data, name)
    headers_end = FILE_HEADER.size + n_layers * LAYER_HEADER.size
    end = len(data) - DIGEST_BYTES
    if headers_end + n_meta > end:
        raise _inconsistent(name, f"{n_layers} layers and {n_meta} bytes of description do not fit in it")
    try:
        meta = json.loads(data[headers_end : headers_end + n_meta])
    except ValueError as error:
        raise _inconsistent(name, "its description is not JSON") from error
    if not isinstance(meta, dict):
        raise _inconsistent(name, "its description is not a JSON object")
    offset, layers = headers_end + n_meta, []
    for number in range(n_layers):
        header = LAYER_HEADER.unpack_from(data, FILE_HEADER.size + number * LAYER_HEADER.size)
        layer, offset = _read_layer(data, offset, end, header, version, f"{name}: layer {number + 1}")
        layers.append(layer)
    if offset != end:
        raise _inconsistent(name, f"{end - offset} bytes after the last layer")
    model = PackedModel(tuple(layers), meta)
    if why := model.problem():
        raise _inconsistent(name, why)
    return model


def _checked(data: bytes, name: str) -> tuple[int, int, int]:
    if not data.startswith(MAGIC):
        cut = MAGIC.startswith(data)
        raise FormatError(f"{name}: {'truncated' if cut else 'not a packed model'} (begins with {data[:8]!r})", "give a model.cgs that stage 7 (pack) wrote")
    if len(data) < FILE_HEADER.size:
        raise FormatError(f"{name}: truncated ({len(data)} bytes)", "copy it again, or run stage 7 (pack)")
    _, version, n_layers, n_meta, n_bytes = FILE_HEADER.unpack_from(data)
    if version not in VERSIONS:
        known = " and ".join(map(str, VERSIONS))
        raise FormatError(f"{name}: packed-file version {version}, this program reads {known}", "pack it again with stage 7, or use a matching program")
    if len(data) < n_bytes:
        raise FormatError(f"{name}: truncated ({len(data)} of {n_bytes} bytes)", "copy it again, or run stage 7 (pack)")
    if len(data) > n_bytes:
        raise FormatError(f"{name}: altered ({len(data)} bytes, its header says {n_bytes})", "copy it again, or run stage 7 (pack)")
    if hashlib.sha256(data[:-DIGEST_BYTES]).digest() != data[-DIGEST_BYTES:]:
        raise FormatError(f"{name}: altered (checksum does not match)", "copy it again, or run stage 7 (pack)")
    return version, n_layers, n_meta


def _inconsistent(name: str, why: str) -> FormatError:
    return FormatError(f"{name}: {why}", "the checksum is right, so the program that wrote it is wrong; pack the model again")


def _read_layer(data: bytes, offset: int, end: int, header: tuple[int, ...], version: int, where: str) -> tuple[PackedLayer, int]:
    n_in, n_out, block, n_kept, bits, bias_bits, input_bits, output_bits, flags, n_offsets, weight_f, bias_f, input_f, output_f, reserved = header
    if reserved or bool(n_offsets) != (version == WITH_OFFSETS) or flags & ~(INPUT_SIGNED | RELU):
        raise _inconsistent(where, "reserved fields that are not zero, or no frame offsets")
    if bool(block) != bool(n_kept) or not n_in or not n_out or block > MAX_BLOCK or n_kept > n_in:
        raise _inconsistent(where, f"shape {n_out} x {n_in} with {n_kept} blocks of side {block} in a row")
    rows, columns = (-(-n_out // block), -(-n_in // block)) if block else (0, 0)
    rest = memoryview(data)[offset:end]

    def take(n_values: int, width: int, signed: bool) -> np.ndarray:
        nonlocal rest
        n_bytes = packed_bytes(n_values, width)
        if n_bytes > len(rest):
            raise _inconsistent(where, f"needs {n_bytes} bytes where {len(rest)} are left")
        values, rest = unpack_bits(rest[:n_bytes], n_values, width, signed), rest[n_bytes:]
        return values

    offsets = tuple(take(n_offsets, 8, signed=True).tolist()) if version == WITH_OFFSETS else (0,)
    if max(bits, bias_bits) > 32:
        raise _inconsistent(where, f"{bits}-bit weights, {bias_bits}-bit biases")
    kept = take(rows * n_kept, (columns - 1).bit_length(), signed=False).reshape(rows, n_kept).astype(np.int32) if block else None
    formats: dict[str, Any] = {
        "bits": bits, "weight_fraction_bits": weight_f, "bias_bits": bias_bits, "bias_fraction_bits": bias_f,
        "input_bits": input_bits, "input_signed": bool(flags & INPUT_SIGNED), "input_fraction_bits": input_f,
        "output_bits": output_bits, "output_fraction_bits": output_f, "relu": bool(flags & RELU), "offsets": offsets,
    }  # fmt: skip
    if kept is None:
        weights = take(n_out * n_in, bits, signed=True).reshape(n_out, n_in).astype(np.int8)
    else:
        stored = take(kept_weights(n_in, n_out, block, kept), bits, signed=True)
        weights = np.zeros((rows, n_kept, block, block), dtype=np.int8)
        weights[PackedLayer(n_in, n_out, block, kept, weights, weights, **formats).real_weights()] = stored
    bias = take(n_out, bias_bits, signed=True).astype(np.int32)
    return PackedLayer(n_in, n_out, block, kept, weights, bias, **formats), end - len(rest)
