"""Fixed-point formats: planted values, slow references, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import ConfigError
from cgs.quant.formats import FixedPoint, choose_format, choose_pair, fitting_format, requantise


def test_ranges_of_signed_and_unsigned_formats():
    assert (FixedPoint(6, 4).low, FixedPoint(6, 4).high, FixedPoint(6, 4).step) == (-32, 31, 1 / 16)
    assert (FixedPoint(8, 0, signed=False).low, FixedPoint(8, 0, signed=False).high) == (0, 255)


def test_nearest_integer_ties_to_even_and_saturation():
    form = FixedPoint(4, 1)
    assert form.integers(np.array([0.25, 0.75, -0.25, 0.26, 100.0, -100.0])).tolist() == [0, 2, 0, 1, 7, -8]
    assert form.values(np.array([7, -8])).tolist() == [3.5, -4.0]


@pytest.mark.parametrize("bits", [2, 5, 8, 16])
def test_fitting_format_is_the_finest_without_saturation(bits):
    values = np.random.default_rng(bits).normal(size=100)
    form = fitting_format(values, bits)
    assert np.abs(form.values(form.integers(values)) - values).max() <= form.step / 2
    finer = FixedPoint(bits, form.fraction_bits + 1)
    assert np.abs(finer.values(finer.integers(values)) - values).max() > finer.step / 2


def test_fitting_format_uses_the_extra_negative_integer():
    assert fitting_format(np.array([-1.0, 0.5]), 4).fraction_bits == 3
    assert fitting_format(np.array([1.0, 0.5]), 4).fraction_bits == 2


@pytest.mark.parametrize("signed", [True, False])
def test_choose_format_finds_the_least_squared_error(signed):
    random = np.random.default_rng(1)
    values = random.normal(size=2000) if signed else np.maximum(random.normal(size=2000), 0)
    values[0] = 60.0
    chosen = choose_format(values, 6, signed)

    def error(fraction_bits: int) -> float:
        form = FixedPoint(6, fraction_bits, signed)
        return sum((min(max(round(v * 2**fraction_bits), form.low), form.high) / 2**fraction_bits - v) ** 2 for v in values)

    assert chosen.fraction_bits == min(range(-4, 8), key=error)


def test_a_lone_outlier_saturates_only_where_that_is_better():
    values = np.append(np.random.default_rng(0).normal(scale=0.01, size=100_000), 1.0)
    assert choose_format(values, 5).fraction_bits > fitting_format(values, 5).fraction_bits


def test_zeros_have_a_format():
    assert choose_format(np.zeros(3), 8) == FixedPoint(8, 7)


def test_not_finite_is_an_error_that_says_so():
    with pytest.raises(ConfigError, match="not finite"):
        choose_format(np.array([1.0, np.inf]), 8)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1), st.integers(0, 31), st.integers(4, 16))
def test_requantise_is_add_half_shift_saturate(accumulators, shift, bits):
    half = 2 ** (shift - 1) if shift else 0
    expected = [min(max((a + half) >> shift, 0), 2**bits - 1) for a in accumulators]
    assert requantise(np.array(accumulators), shift, bits).tolist() == expected


@pytest.mark.parametrize("symmetric", [False, True])
def test_a_coarser_format_leaves_out_the_lowest_bits(symmetric):
    form, values = FixedPoint(6, 3, symmetric=symmetric), np.linspace(-6, 6, 999)
    coarse = form.coarser(4)
    assert (coarse.bits, coarse.fraction_bits, coarse.step) == (4, 1, 4 * form.step) and form.coarser(6) == form
    on_fine_grid = form.integers(coarse.values(coarse.integers(values)))
    np.testing.assert_array_equal(form.values(on_fine_grid), coarse.values(coarse.integers(values)))
    assert (on_fine_grid % 4 == 0).all()


def test_a_format_for_two_precisions_is_the_best_of_all_for_both_together():
    random = np.random.default_rng(0)
    for scale, n_low in ((1.0, 500), (1e-4, 20), (30.0, 1000)):
        values, low = random.laplace(scale=scale, size=500), random.laplace(scale=scale, size=n_low)

        def error(form: FixedPoint, values: np.ndarray = values, low: np.ndarray = low) -> float:
            coarse = form.coarser(3)
            return np.square(form.values(form.integers(values)) - values).sum() + np.square(coarse.values(coarse.integers(low)) - low).sum()

        found = choose_format(values, 6, low=low, low_bits=3)
        assert error(found) == min(error(FixedPoint(6, fraction_bits)) for fraction_bits in range(-20, 40))
        assert choose_format(np.zeros(0), 6, low=low, low_bits=3).coarser(3) == choose_format(low, 3), "all low: as a layer of so many bits"
    assert choose_format(values, 6, low=np.zeros(3), low_bits=2) == choose_format(values, 6)
    with pytest.raises(ConfigError, match="not finite"):
        choose_format(values, 6, low=np.array([np.inf]), low_bits=3)


@settings(max_examples=40, deadline=None)
@given(st.integers(2, 8), st.integers(-6, 6), st.floats(0.01, 20), st.booleans(), st.sampled_from([0.2, 1.0, 3.0]), st.integers(0, 2**32 - 1))
def test_formats_that_differ_by_a_fixed_shift_are_the_best_of_all_for_both_together(bits, finer, scale, symmetric, weight, seed):
    random = np.random.default_rng(seed)
    values, others = random.laplace(size=200), random.laplace(scale=scale, size=random.integers(1, 400))

    def error(fraction_bits: int) -> float:
        forms = [FixedPoint(bits, fractions, symmetric=symmetric) for fractions in (fraction_bits, fraction_bits + finer)]
        first, second = (np.square(form.values(form.integers(part)) - part).sum() for form, part in zip(forms, (values, others), strict=True))
        return first + weight * second

    found = choose_pair(values, others, bits, finer, -40, symmetric, weight)
    assert (found.bits, found.symmetric) == (bits, symmetric) and error(found.fraction_bits) == min(map(error, range(-20, 30)))
    assert choose_pair(values, others, bits, finer, 12, symmetric, weight).fraction_bits == max(12, found.fraction_bits)
    with pytest.raises(ConfigError, match="not finite"):
        choose_pair(values, np.array([np.nan]), bits, finer, 0)
