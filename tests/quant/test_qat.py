"""Fake quantisation: against torch's own, against the integer engine, and that it learns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from cgs.base.errors import DataError, ShapeError
from cgs.base.options import PackOptions
from cgs.nn.dropout import relu_dropout
from cgs.nn.lstm import LstmSpec
from cgs.nn.network import Network, NetworkSpec, build_network
from cgs.nn.tdnn import TdnnSpec
from cgs.quant.build import LayerFormats, LowBlocks, choose_formats, quantise, sample_activations
from cgs.quant.engine import IntegerEngine
from cgs.quant.formats import FixedPoint
from cgs.quant.packed import decode, encode
from cgs.quant.qat import FakeQuantised, rounded

SPARSE = NetworkSpec(n_in=45, hidden=(40, 36), n_out=7, method="cgs", density=0.5, block=8, dense_output=True, seed=3)
DENSE = NetworkSpec(n_in=45, hidden=(40, 36), n_out=7, seed=3)
LOWRANK = NetworkSpec(n_in=45, hidden=(40, 36), n_out=7, method="lowrank", density=(0.5, 0.6, 1.0), seed=3)


TDNN = TdnnSpec(n_in=9, hidden=(40, 36), n_out=7, offsets=((-2, -1, 0, 1, 2), (-3, 0, 3)), seed=3)
SPARSE_TDNN = TDNN.model_copy(update={"method": "cgs", "density": 0.5, "block": 8, "dense_output": True})
LOWRANK_TDNN = TDNN.model_copy(update={"method": "lowrank", "density": 0.52})
WIDE = SPARSE.model_copy(update={"block": 3, "block_in": (11, 10, 0)})
WIDE_TDNN = SPARSE_TDNN.model_copy(update={"block": (16, 3, 1), "block_in": (3, 11, 0)})


LSTM = LstmSpec(n_in=9, hidden=(16, 24), n_out=7, offsets=(-1, 0, 2), label_delay=2, warmup=4, seed=3)
SPARSE_LSTM = LSTM.model_copy(update={"method": "cgs", "density": 0.5, "block": 4, "dense_output": True})
WIDE_LSTM = SPARSE_LSTM.model_copy(update={"block": (3, 3, 16, 16, 1), "block_in": (8, 8, 2, 2, 0)})
DENSE_INPUT_LSTM = SPARSE_LSTM.model_copy(update={"dense_input": True})


def network(spec: NetworkSpec | TdnnSpec | LstmSpec) -> Network:
    made = build_network(spec).eval()
    generator = torch.Generator().manual_seed(5)
    for product in made.products():
        product.matrix.bias.data.normal_(0, 0.1, generator=generator)
    return made


def frames(n: int = 400) -> torch.Tensor:
    return torch.randn(n, 45, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("signed", [True, False])
def test_forward_and_gradient_equal_torch_fake_quantize(signed):
    form = FixedPoint(5, 3, signed)
    x = (torch.randn(5000, generator=torch.Generator().manual_seed(0)) * 1.5).requires_grad_()
    y = x.detach().clone().requires_grad_()
    ours = rounded(x, form)
    theirs = torch.fake_quantize_per_tensor_affine(y, form.step, 0, form.low, form.high)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
    weight = torch.randn(5000, generator=torch.Generator().manual_seed(2))
    (ours * weight).sum().backward()
    (theirs * weight).sum().backward()
    assert x.grad is not None and y.grad is not None
    inside = torch.ones_like(x, dtype=torch.bool) if signed else x.detach() > 0
    torch.testing.assert_close(x.grad[inside], y.grad[inside], rtol=0, atol=0)
    assert signed or not x.grad[~inside].any(), "an unsigned format is a ReLU, which passes nothing on where it is off"


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 8), st.integers(-6, 12), st.booleans(), st.booleans(), st.integers(0, 2**32 - 1))
def test_every_format_rounds_as_torch_does(bits, fraction_bits, signed, symmetric, seed):
    form = FixedPoint(bits, fraction_bits, signed, symmetric)
    x = torch.randn(200, generator=torch.Generator().manual_seed(seed)) * form.high * form.step
    expected = torch.fake_quantize_per_tensor_affine(x, form.step, 0, form.low, form.high)
    assert torch.equal(rounded(x, form), expected)
    np.testing.assert_array_equal(form.values(form.integers(x.double().numpy())), expected.double().numpy())


@pytest.mark.parametrize("levels", ["full", "symmetric"])
def test_a_network_computes_as_one_of_torch_fake_quantisation(levels):
    """Torch's functions and layers only, with our formats. Outputs get half a unit of the accumulator more: torch rounds ties to even, the engine up."""
    trained, x = network(DENSE), frames(50)
    formats = choose_formats(trained, sample_activations(trained, frames()), 4, PackOptions(levels=levels))

    def fake(values: torch.Tensor, form: FixedPoint) -> torch.Tensor:
        return torch.fake_quantize_per_tensor_affine(values, form.step, 0, form.low, form.high)

    with torch.no_grad():
        expected = fake(x, formats[0].input)
        for layer, form in zip(trained.each_layer(), formats, strict=True):
            expected = torch.nn.functional.linear(expected, fake(layer.weight, form.weight), fake(layer.bias, form.bias))
            expected = fake(expected + 0.5 * 2.0**-form.accumulator_fraction_bits, form.output) if form.output else expected
        torch.testing.assert_close(FakeQuantised(trained, formats)(x), expected, rtol=0, atol=0)


def test_symmetric_weights_leave_out_the_lowest_value():
    assert (FixedPoint(2, 0, symmetric=True).low, FixedPoint(2, 0).low) == (-1, -2) and FixedPoint(6, 0, symmetric=True).low == -31
    trained = network(SPARSE)
    for bits in (2, 3):
        formats = choose_formats(trained, sample_activations(trained, frames()), bits, PackOptions(levels="symmetric"))
        model = quantise(trained, formats, {})
        assert all(layer.weights.min() == -layer.weights.max() == 1 - 2 ** (bits - 1) for layer in model.layers)
        with torch.no_grad():
            np.testing.assert_array_equal(IntegerEngine(decode(encode(model), "x")).logits(frames().numpy()), FakeQuantised(trained, formats)(frames()).numpy())


def test_halves_round_up_where_the_engine_shifts():
    assert rounded(torch.tensor([0.5, 1.5, 2.5]), FixedPoint(8, 0, False), half_up=True).tolist() == [1, 2, 3]
    assert rounded(torch.tensor([0.5, 1.5, 2.5]), FixedPoint(8, 0, False)).tolist() == [0, 2, 2]


@pytest.mark.parametrize("spec", [SPARSE, WIDE, DENSE, LOWRANK], ids=["cgs", "rectangles", "dense", "lowrank"])
@pytest.mark.parametrize(("bits", "activation_bits"), [(2, 4), (5, 8), (6, 8), (8, 12)])
def test_float_logits_equal_the_engine_bit_for_bit(spec, bits, activation_bits):
    trained = network(spec)
    options = PackOptions(activation_bits=activation_bits, bias_bits=12)
    formats = choose_formats(trained, sample_activations(trained, frames()), bits, options)
    model = decode(encode(quantise(trained, formats, {})), "made here")
    assert max(layer.accumulator_bound() for layer in model.layers) < 2**24
    with torch.no_grad():
        fake = FakeQuantised(trained, formats)(2 * frames())
    np.testing.assert_array_equal(IntegerEngine(model).logits(2 * frames().numpy()), fake.numpy())


@pytest.mark.parametrize("spec", [SPARSE, DENSE, LOWRANK], ids=["cgs", "dense", "lowrank"])
def test_wide_formats_come_close_to_float(spec):
    trained = network(spec)
    formats = choose_formats(trained, sample_activations(trained, frames()), 8, PackOptions(activation_bits=12, bias_bits=16))
    with torch.no_grad():
        exact = trained(frames())
        assert (FakeQuantised(trained, formats)(frames()) - exact).std() < 0.03 * exact.std()


def test_factors_have_the_bits_of_their_matrix_and_signed_values_between_them():
    trained = network(LOWRANK)
    model = quantise(trained, choose_formats(trained, sample_activations(trained, frames()), [6, 5, 4], PackOptions()), {})
    assert [(layer.n_out, layer.bits, layer.input_signed, layer.relu, layer.output_signed) for layer in model.layers] == [
        (10, 6, True, False, True), (40, 6, True, True, False), (11, 5, False, False, True), (36, 5, True, True, False), (7, 4, False, False, False),
    ]  # fmt: skip


def test_dropout_spares_the_values_between_factors(monkeypatch):
    trained = network(LOWRANK.model_copy(update={"dropout": 0.5}))
    fake, widths = FakeQuantised(trained, choose_formats(trained, sample_activations(trained, frames()), 8, PackOptions())), []
    for module in ("cgs.nn.feedforward", "cgs.quant.qat"):
        monkeypatch.setattr(f"{module}.relu_dropout", lambda x, probability, axis: widths.append((len(x), probability)) or relu_dropout(x, probability, axis))
    for tried in (trained, fake):
        tried.train()(frames())
    assert widths == 2 * [(40, 0.5), (36, 0.5)]


@pytest.mark.parametrize("spec", [SPARSE, WIDE], ids=["cgs", "rectangles"])
def test_fine_tuning_lowers_the_loss_of_the_quantised_network(spec):
    trained, x = network(spec), frames()
    with torch.no_grad():
        labels = trained(x).argmax(dim=1)
    formats = choose_formats(trained, sample_activations(trained, x), 3, PackOptions(activation_bits=5))
    fake = FakeQuantised(trained, formats)
    optimiser = torch.optim.Adam(fake.parameters(), lr=1e-3)
    losses = []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(fake(x), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]
    padding = ~torch.from_numpy(fake.masks[0].real_weights)
    assert padding.any() and not fake.layers[0].weight[padding].any(), "padding stays zero"
    with torch.no_grad():
        fake.eval()
        np.testing.assert_array_equal(IntegerEngine(quantise(fake, formats, {})).logits(x.numpy()), fake(x).numpy())


def test_fake_quantised_network_is_a_copy_with_the_same_names():
    trained = network(SPARSE)
    formats = choose_formats(trained, sample_activations(trained, frames()), 6, PackOptions())
    fake = FakeQuantised(trained, formats)
    assert list(fake.state_dict()) == list(trained.state_dict())
    fake.layers[0].bias.data.fill_(9.0)
    assert not (trained.layers[0].bias == 9.0).any()


def test_no_frames_is_an_error():
    with pytest.raises(DataError, match="no training frames"):
        sample_activations(network(DENSE), torch.zeros(0, 45))


def test_overflow_is_told_at_pack_time():
    trained = build_network(NetworkSpec(n_in=45, hidden=(4000, 36), n_out=7))
    trained.layers[1].weight.data.fill_(1.0)
    options = PackOptions(activation_bits=16)
    formats = choose_formats(trained, sample_activations(trained, frames()), 8, options)
    with pytest.raises(ShapeError, match="layer 2: its accumulator may need"):
        quantise(trained, formats, {})


def chunks() -> torch.Tensor:
    return torch.randn(6, 50, 9, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("spec", [SPARSE_TDNN, WIDE_TDNN, TDNN, LOWRANK_TDNN], ids=["cgs", "rectangles", "dense", "lowrank"])
@pytest.mark.parametrize(("bits", "activation_bits"), [(2, 4), (6, 8)])
def test_time_delay_logits_equal_the_engine_bit_for_bit(spec, bits, activation_bits):
    trained = network(spec)
    formats = choose_formats(trained, sample_activations(trained, chunks()), bits, PackOptions(activation_bits=activation_bits, bias_bits=12))
    model = decode(encode(quantise(trained, formats, {})), "made here")
    assert [layer.offsets for layer in model.layers] == [product.offsets for product in trained.products()] and model.context == spec.context == (5, 5)
    assert [layer.offsets for layer in model.layers if layer.offsets != (0,)] == list(spec.offsets)
    with torch.no_grad():
        fake = FakeQuantised(trained, formats)(2 * chunks())
    assert fake.shape == (6, 40, 7)
    for rows, expected in zip(2 * chunks().numpy(), fake.numpy(), strict=True):
        np.testing.assert_array_equal(IntegerEngine(model).logits(rows), expected)


def test_wide_formats_of_a_time_delay_network_come_close_to_float():
    trained = network(SPARSE_TDNN)
    formats = choose_formats(trained, sample_activations(trained, chunks()), 8, PackOptions(activation_bits=12, bias_bits=16))
    with torch.no_grad():
        exact = trained(chunks())
        assert (FakeQuantised(trained, formats)(chunks()) - exact).std() < 0.03 * exact.std()


@pytest.mark.parametrize("spec", [LSTM, SPARSE_LSTM, WIDE_LSTM, DENSE_INPUT_LSTM], ids=["dense", "cgs", "rectangles", "dense_input"])
@pytest.mark.parametrize(("bits", "activation_bits"), [(2, 4), (6, 8), (8, 11)])
def test_lstm_logits_equal_the_engine_bit_for_bit(spec, bits, activation_bits):
    trained = network(spec)
    formats = choose_formats(trained, sample_activations(trained, chunks()), bits, PackOptions(activation_bits=activation_bits, bias_bits=12))
    model = decode(encode(quantise(trained, formats, {})), "made here")
    assert model.context == spec.context == (5, 4) and [layer.n_cells for layer in model.layers] == [16, 24, 0]
    assert sum(layer.n_weights for layer in model.layers) == trained.n_weights_kept
    assert model.n_parameters_dense == trained.n_parameters_dense
    for gain in (1, 4):
        with torch.no_grad():
            fake = FakeQuantised(trained, formats)(gain * chunks())
        assert fake.shape == (6, 41, 7)
        for rows, expected in zip(gain * chunks().numpy(), fake.numpy(), strict=True):
            np.testing.assert_array_equal(IntegerEngine(model).logits(rows), expected)


def test_wide_formats_of_an_lstm_come_close_to_float():
    trained = network(SPARSE_LSTM)
    formats = choose_formats(trained, sample_activations(trained, chunks()), 8, PackOptions(activation_bits=12, bias_bits=16))
    with torch.no_grad():
        exact = trained(chunks())
        assert (FakeQuantised(trained, formats)(chunks()) - exact).std() < 0.03 * exact.std()


def test_both_matrices_of_cells_share_an_accumulator_at_the_least_error():
    trained = network(LSTM)
    trained.layers[1].weight.data *= 8
    for bits in (2, 5, 8):
        samples = sample_activations(trained, chunks())
        formats = choose_formats(trained, samples, bits, PackOptions())
        powers = [np.square(values).mean() for values in samples]
        for product, form, below, h in zip(trained.products()[:2], formats, powers, powers[1:], strict=False):
            assert form.output == FixedPoint(8, 7) and form.recurrent is not None and form.accumulator_fraction_bits >= 7
            assert form.recurrent.fraction_bits + 7 == form.accumulator_fraction_bits and form.recurrent.bits == form.weight.bits == bits

            def error(finer: int, product=product, form=form, below=below, h=h) -> float:
                """Of the gates' sums."""
                rounded_both = [replace(each, fraction_bits=each.fraction_bits + finer) for each in (form.weight, form.recurrent)]
                weights = [matrix.weight.detach().double().numpy() for matrix in product.matrices]
                parts = zip(rounded_both, weights, (below, h), strict=True)
                return sum(np.square(each.values(each.integers(w)) - w).sum() * power for each, w, power in parts)

            finer = range(max(-4, 7 - form.accumulator_fraction_bits), 5)
            assert min(finer, key=error) == 0


def test_gradients_of_rounded_cells_are_near_those_of_real_ones():
    """With fine grids, on the same weights; and a loss falls by them where grids are coarse."""
    trained, x = network(SPARSE_LSTM), chunks()
    fake = FakeQuantised(trained, choose_formats(trained, sample_activations(trained, x), 8, PackOptions(activation_bits=11)))
    torch.manual_seed(0)
    towards = torch.randn(6, 41, 7)
    for tried in (trained, fake):
        (tried(x) * towards).sum().backward()
    for (name, real), (_, found) in zip(trained.named_parameters(), fake.named_parameters(), strict=True):
        assert torch.nn.functional.cosine_similarity(real.grad.flatten(), found.grad.flatten(), dim=0) > 0.99, name
        assert float(found.grad.norm()) == pytest.approx(float(real.grad.norm()), rel=0.1)


def test_fine_tuning_lowers_the_loss_of_a_quantised_lstm():
    trained, x = network(SPARSE_LSTM), chunks()
    with torch.no_grad():
        labels = trained(x).argmax(dim=2).flatten()
    formats = choose_formats(trained, sample_activations(trained, x), 3, PackOptions(activation_bits=5))
    fake = FakeQuantised(trained, formats).train()
    optimiser, losses = torch.optim.Adam(fake.parameters(), lr=3e-3), []
    for _ in range(30):
        loss = torch.nn.functional.cross_entropy(fake(x).flatten(0, 1), labels)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.75 * losses[0]
    with torch.no_grad():
        found = fake.eval()(x).numpy()
    model = quantise(fake, formats, {})
    np.testing.assert_array_equal(np.stack([IntegerEngine(model).logits(rows) for rows in x.numpy()]), found)


def test_dropout_of_an_lstm_drops_what_cells_give():
    trained = network(LSTM.model_copy(update={"dropout": 0.5}))
    fake = FakeQuantised(trained, choose_formats(trained, sample_activations(trained, chunks()), 8, PackOptions(activation_bits=11)))
    outputs = []
    for tried in (trained, fake):
        torch.manual_seed(1)
        outputs.append(tried.train()(chunks()).detach())
    assert (outputs[1] - outputs[0]).std() < 0.03 * outputs[0].std(), "the same units are dropped"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"block": (4, 8, 4, 4, 1)}, "cannot pack a layer of 16 cells: blocks 8 of U, 4 of W"),
        ({"block_in": (4, 8, 0, 0, 0)}, "blocks 4x8 of U, 4 of W"),
        ({"block": 5}, "cannot pack a layer of 16 cells: blocks 5 of U, 5 of W.*a multiple of a block's inputs"),
    ],
)
def test_cells_whose_blocks_do_not_fit_each_other_are_told(changes, message):
    trained = network(SPARSE_LSTM.model_copy(update=changes))
    formats = choose_formats(trained, sample_activations(trained, chunks()), 6, PackOptions())
    with pytest.raises(ShapeError, match=message):
        quantise(trained, formats, {})


def with_low_blocks(trained: Network, low_bits: int, bits: int = 6, **options: object) -> list[LayerFormats]:
    random = np.random.default_rng(0)
    low = [LowBlocks(low_bits, random.random(mask.kept.shape) < 0.5) if mask else None for mask in trained.masks]
    return choose_formats(trained, sample_activations(trained, frames()), bits, PackOptions(**options), low)


@pytest.mark.parametrize("levels", ["full", "symmetric"])
@pytest.mark.parametrize(("bits", "low_bits"), [(6, 4), (6, 2), (8, 3), (3, 2)])
def test_low_blocks_equal_the_engine_bit_for_bit(bits, low_bits, levels):
    trained = network(SPARSE)
    formats = with_low_blocks(trained, low_bits, bits, levels=levels)
    model = quantise(trained, formats, {})
    for layer, form in list(zip(model.layers, formats, strict=True))[:2]:
        assert form.low is not None
        units = layer.weights[form.low.blocks] >> (bits - low_bits)
        assert not (layer.weights[form.low.blocks] % (1 << (bits - low_bits))).any()
        assert units.min() >= -(1 << (low_bits - 1)) + (levels == "symmetric") and units.max() <= (1 << (low_bits - 1)) - 1
        assert (layer.weights[~form.low.blocks] % 2).any()
    fake = FakeQuantised(trained, formats)
    assert list(fake.state_dict()) == list(trained.state_dict())
    for storage in ("plain", "mixed", "smallest"):
        with torch.no_grad():
            engine = IntegerEngine(decode(encode(replace(model, storage=storage)), "made here"))
            np.testing.assert_array_equal(engine.logits(frames().numpy()), fake(frames()).numpy())


def test_low_blocks_have_the_gradient_of_their_own_range():
    trained = network(SPARSE)
    formats = with_low_blocks(trained, 3)
    fake, form, low = FakeQuantised(trained, formats), formats[0].weight, formats[0].low
    fake.layers[0].weight.data.copy_(torch.linspace(-1.5, 1.5, fake.layers[0].weight.numel()).view_as(fake.layers[0].weight) * -form.low * form.step)
    weight = fake.layers[0].weight
    factors = torch.randn_like(weight)
    (fake.weights_of(0) * factors).sum().backward()
    assert low is not None and weight.grad is not None
    for blocks, own in ((low.blocks, form.coarser(3)), (~low.blocks, form)):
        x = weight.detach()[blocks].requires_grad_()
        theirs = torch.fake_quantize_per_tensor_affine(x, own.step, 0, own.low, own.high)
        torch.testing.assert_close(fake.weights_of(0).detach()[blocks], theirs, rtol=0, atol=0)
        (theirs * factors[blocks]).sum().backward()
        torch.testing.assert_close(weight.grad[blocks], x.grad, rtol=0, atol=0)
