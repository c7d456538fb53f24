"""What the supply and the temperature do to energy, delay and leakage."""

from __future__ import annotations

import numpy as np

from cgs.hw.technology import Technology, Value

ROOM_TEMPERATURE_K = 300.0
THERMAL_VOLTAGE = 0.02585
"""kT/q at 300 K, V."""
SUPPLY_RANGE_V = (0.5, 1.2)
"""Where the model is meant to hold: below, memories of ordinary cells stop working; above, the processes are not used."""


def relative_delay(supply_v: Value, reference_v: Value, tech: Technology) -> Value:
    """Delay at a supply over delay at a reference supply, continuous through the threshold; temperature is left out.

    Source: Keller, Harris, Martin 2014 (transregional form): delay is V over ln^2(1 + exp((V - Vt) / (2 n kT/q))).
    """

    def delay(v: Value) -> Value:
        return v / np.log1p(np.exp((v - tech["threshold"]) / (2 * tech["slope"] * THERMAL_VOLTAGE))) ** 2

    return delay(supply_v) / delay(reference_v)


def leakage_fade(supply_v: Value, reference_v: Value, tech: Technology) -> Value:
    """Leakage power at a supply over that at a reference supply: exponential, fitted to a ring oscillator."""
    return np.exp(-tech["leakage_slope"] * (reference_v - supply_v))


def leakage_warmth(temperature_k: Value, tech: Technology) -> Value:
    """Subthreshold leakage at a temperature over that at 300 K: thermally activated, fitted to CACTI 7 from 300 to 360 K."""
    return np.exp(tech["leakage_activation"] * (1 / ROOM_TEMPERATURE_K - 1 / temperature_k))
