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
from cgs.base.units import block_size
from cgs.quant.model import MAX_BLOCK, PackedLayer, PackedModel, block_weights
from cgs.quant.sections import INDEX_FORMS, PLAIN, WEIGHT_FORMS, Reader, Sections, layer_sections, storage_of

__all__ = ["PackedLayer", "PackedModel", "decode", "encode", "read_packed", "write_packed"]

MAGIC = b"\x89CGS\r\n\x1a\n"
VERSIONS = FRAME_BY_FRAME, WITH_OFFSETS, WITH_FORMS, WITH_SHAPES, WITH_CELLS = 1, 2, 3, 4, 5
"""Version 1 holds networks whose layers read one frame, version 2 others; version 3 either, with some section in a form that is not
plain; version 4 all these, with blocks that are not square or a hidden layer that is linear; version 5 all these, with LSTM layers. The oldest that holds
a network is written, so that files stay what they were."""
FILE_HEADER = struct.Struct("<8sHHII")
LAYER_HEADER, BLOCK_WIDTH = struct.Struct("<IIHHBBBBBBbbbbBB"), struct.Struct("<H")
"""Every version's, and what versions from 4 on add to it."""
DIGEST_BYTES = 32
INPUT_SIGNED, RELU, OUTPUT_SIGNED, CELLS = 1, 2, 4, 8
MAX_META_BYTES = 4096


def section_bytes(layer: PackedLayer, storage: str = "plain") -> tuple[int, int, int]:
    """Bytes of a layer's block indices, weights and biases in the file; see `PackedModel.storage`."""
    return layer_sections(layer, storage).n_bytes


def encode(model: PackedModel) -> bytes:
    """The bytes of the packed file.

    Raises: ShapeError: a layer that does not fit, whose accumulator may overflow, or a `meta` too large for the file.
    """
    model.check()
    meta = json.dumps(model.meta, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    if len(meta) > MAX_META_BYTES:
        raise ShapeError(f"cannot pack the model: its description takes {len(meta)} bytes of {MAX_META_BYTES}", "shorten its class names")
    sections = [layer_sections(layer, model.storage) for layer in model.layers]
    version = _oldest_version(model, sections)
    parts = [_layer_header(layer, each, version) for layer, each in zip(model.layers, sections, strict=True)] + [meta]
    for layer, each in zip(model.layers, sections, strict=True):
        parts += [np.array(layer.offsets[: _n_offsets(layer, version)], dtype=np.int8).tobytes(), each.index, each.weights, each.bias]
    body = b"".join(parts)
    n_bytes = FILE_HEADER.size + len(body) + DIGEST_BYTES
    body = FILE_HEADER.pack(MAGIC, version, len(model.layers), len(meta), n_bytes) + body
    return body + hashlib.sha256(body).digest()


def _oldest_version(model: PackedModel, sections: list[Sections]) -> int:
    if model.remembers:
        return WITH_CELLS
    if any(layer.block_in != layer.block or layer.output_signed for layer in model.layers):
        return WITH_SHAPES
    if any((each.index_form, each.weight_form) != (PLAIN, PLAIN) for each in sections):
        return WITH_FORMS
    return WITH_OFFSETS if any(layer.offsets != (0,) for layer in model.layers) else FRAME_BY_FRAME


def _n_offsets(layer: PackedLayer, version: int) -> int:
    """How many offsets the file holds: version 1 has none, from version 3 on those of a layer that reads the current frame alone are left out."""
    return 0 if version == FRAME_BY_FRAME or (version >= WITH_FORMS and layer.offsets == (0,)) else len(layer.offsets)


def _layer_header(layer: PackedLayer, sections: Sections, version: int) -> bytes:
    flags = INPUT_SIGNED * layer.input_signed + RELU * layer.relu + OUTPUT_SIGNED * layer.output_signed + CELLS * layer.cells
    forms = INDEX_FORMS.index(sections.index_form), WEIGHT_FORMS.index(sections.weight_form)
    header = LAYER_HEADER.pack(
        layer.n_in, layer.n_out, layer.block, layer.kept_per_row, layer.bits, layer.bias_bits, layer.input_bits, layer.output_bits, flags,
        _n_offsets(layer, version), layer.weight_fraction_bits, layer.bias_fraction_bits, layer.input_fraction_bits, layer.output_fraction_bits, *forms,
    )  # fmt: skip
    return header + BLOCK_WIDTH.pack(layer.block_in if layer.block_in != layer.block else 0) if version >= WITH_SHAPES else header


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
    n_header = LAYER_HEADER.size + (BLOCK_WIDTH.size if version >= WITH_SHAPES else 0)
    headers_end = FILE_HEADER.size + n_layers * n_header
    end = len(data) - DIGEST_BYTES
    if headers_end + n_meta > end:
        raise _inconsistent(name, f"{n_layers} layers and {n_meta} bytes of description do not fit in it")
    try:
        meta = json.loads(data[headers_end : headers_end + n_meta])
    except ValueError as error:
        raise _inconsistent(name, "its description is not JSON") from error
    if not isinstance(meta, dict):
        raise _inconsistent(name, "its description is not a JSON object")
    starts = range(FILE_HEADER.size, headers_end, n_header)
    headers = [LAYER_HEADER.unpack_from(data, start) for start in starts]
    widths = [BLOCK_WIDTH.unpack_from(data, start + LAYER_HEADER.size)[0] if version >= WITH_SHAPES else 0 for start in starts]
    reader, layers = Reader(memoryview(data)[headers_end + n_meta : end]), []
    for number, (header, width) in enumerate(zip(headers, widths, strict=True), start=1):
        try:
            layers.append(_read_layer(reader, header, width, version))
        except ValueError as error:
            raise _inconsistent(f"{name}: layer {number}", str(error)) from error
    if len(reader.rest):
        raise _inconsistent(name, f"{len(reader.rest)} bytes after the last layer")
    model = PackedModel(tuple(layers), meta, storage_of({WEIGHT_FORMS[header[-1]] for header in headers}))
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
        known = f"{VERSIONS[0]} to {VERSIONS[-1]}"
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


def _read_layer(reader: Reader, header: tuple[int, ...], width: int, version: int) -> PackedLayer:
    """The next layer. Raises: ValueError: what no writer writes."""
    n_in, n_out, block, n_kept, bits, bias_bits, input_bits, output_bits, flags, n_offsets, weight_f, bias_f, input_f, output_f, index, weight = header
    has_offsets = {FRAME_BY_FRAME: not n_offsets, WITH_OFFSETS: n_offsets > 0}.get(version, True)
    n_forms = (len(INDEX_FORMS), len(WEIGHT_FORMS)) if version >= WITH_FORMS else (1, 1)
    known_flags = INPUT_SIGNED | RELU | (OUTPUT_SIGNED if version >= WITH_SHAPES else 0) | (CELLS if version >= WITH_CELLS else 0)
    if not has_offsets or flags & ~known_flags or index >= n_forms[0] or weight >= n_forms[1]:
        raise ValueError("reserved fields that are not zero, or no frame offsets")
    if width and (not block or width == block):
        raise ValueError(f"blocks {width} inputs wide, of side {block}: a square block and a dense layer have no width")
    block_in = width or block
    rows, columns = (-(-n_out // block), -(-n_in // block_in)) if block else (0, 0)
    if bool(block) != bool(n_kept) or not n_in or not n_out or max(block, block_in) > MAX_BLOCK or n_kept > columns or (index and not block):
        raise ValueError(f"shape {n_out} x {n_in} with {n_kept} blocks of side {block_size(block, block_in)} in a row")
    if not (2 <= bits <= 8 and 8 <= bias_bits <= 32):
        raise ValueError(f"{bits}-bit weights, {bias_bits}-bit biases")
    if n_out > len(reader.rest):  # a bias takes a byte at least; what follows may then make room for n_out numbers
        raise ValueError(f"needs {n_out} biases where {len(reader.rest)} bytes are left")
    formats: dict[str, Any] = {
        "bits": bits, "weight_fraction_bits": weight_f, "bias_bits": bias_bits, "bias_fraction_bits": bias_f,
        "input_bits": input_bits, "input_signed": bool(flags & INPUT_SIGNED), "input_fraction_bits": input_f,
        "output_bits": output_bits, "output_fraction_bits": output_f, "relu": bool(flags & RELU), "output_signed": bool(flags & OUTPUT_SIGNED),
        "cells": bool(flags & CELLS), "offsets": tuple(reader.values(n_offsets, 8, signed=True).tolist()) or (0,), "block_in": block_in,
    }  # fmt: skip
    form = WEIGHT_FORMS[weight]
    if not block:
        kept, weights = None, reader.weights(form, n_out * n_in, bits).reshape(n_out, n_in).astype(np.int8)
    else:
        kept = reader.index(INDEX_FORMS[index], rows, columns, n_kept).astype(np.int32)
        sizes = block_weights(n_in, n_out, block, block_in, kept).ravel()
        stored = reader.weights(form, int(sizes.sum()), bits, sizes)
        weights = reader.blocks((rows, n_kept, block, block_in))
        weights[PackedLayer(n_in, n_out, block, kept, weights, weights, **formats).real_weights()] = stored
    return PackedLayer(n_in, n_out, block, kept, weights, reader.values(n_out, bias_bits, signed=True).astype(np.int32), **formats)
