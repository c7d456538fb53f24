"""SI values as people read them."""

from __future__ import annotations

import math

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "u"), (1e-9, "n"), (1e-12, "p"), (1e-15, "f"))


def with_prefix(value: float, unit: str, digits: int = 3) -> str:
    """Value with an SI prefix: with_prefix(1.03e-4, "W") is "103 uW"."""
    if value == 0 or not math.isfinite(value):
        return f"{value:g} {unit}"
    scale, prefix = next((pair for pair in PREFIXES if abs(value) >= pair[0]), PREFIXES[-1])
    return f"{value / scale:.{digits}g} {prefix}{unit}"


def square_millimetres(area_m2: float) -> str:
    """An area in mm2: square_millimetres(2.1e-7) is "0.21 mm2"."""
    return f"{area_m2 * 1e6:.3g} mm2"


def block_size(block: int, block_in: int = 0) -> str:
    """A block's outputs and inputs: block_size(16, 64) is "16x64"; of a square one the side alone: block_size(16) is "16"."""
    return f"{block}x{block_in}" if block_in not in (0, block) else str(block)


def percent(fraction: float | None, digits: int = 2) -> str:
    """A fraction as per cent, or a dash where there is none."""
    return "-" if fraction is None else f"{100 * fraction:.{digits}f}"


def file_size(n_bytes: float) -> str:
    """Bytes in decimal units: file_size(12_345) is "12.3 kB"."""
    return with_prefix(n_bytes, "B")


def duration(seconds: float) -> str:
    """A duration: duration(3725) is "1h02m05s"."""
    if seconds < 60:
        return f"{seconds:.1f}s"
    hours, rest = divmod(round(seconds), 3600)
    return f"{hours}h{rest // 60:02d}m{rest % 60:02d}s" if hours else f"{rest // 60}m{rest % 60:02d}s"
