"""cgs hw estimate: a table, JSON and a picture of one packed file; what cannot be is one line and an exit code."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from cgs.base.options import HardwareOptions
from cgs.cli.main import main
from cgs.hw.estimate import estimate
from cgs.quant.packed import read_packed, write_packed

from .conftest import one_line  # isort: skip


def call(*words):
    return main(["hw", "estimate", *(str(word) for word in words)])


def test_the_table_holds_every_supply_the_components_and_the_minimum(model, capsys):
    assert call(model) == 0
    out = capsys.readouterr().out
    assert out.startswith("201500 MACs")
    for node in ("40nm", "65nm"):
        block = out.split(f"{node}: ")[1]
        for text in ("  0.5 V ", "  1.2 V ", "weight memory", "memory leakage", "least energy a frame", "frames without a pause"):
            assert text in block
    assert "too slow" not in out.split("  0.6 V ")[1].splitlines()[0]


def test_json_is_the_estimate(model, capsys):
    made = read_packed(model)
    assert call(model, "--json", "--node", "65nm", "--supply", 0.9, "--n-macs", 4, "--frames-per-s", 50, "--bank-bytes", 4096, "--temperature-k", 330) == 0
    told = json.loads(capsys.readouterr().out)
    options = HardwareOptions(n_macs=4, frames_per_s=50, nodes=["65nm"], supply_v=[0.9], reference_supply_v=0.9)
    plain = estimate(made, options, temperature_k=330.0)
    assert told["nodes"]["65nm"][0]["clock_hz"] == plain["nodes"]["65nm"][0]["clock_hz"] and told["engine"]["bank_bytes"] == 4096
    assert told["nodes"]["65nm"][0]["components_w"]["mac"] == pytest.approx(plain["nodes"]["65nm"][0]["components_w"]["mac"])
    assert told["reference"]["65nm"]["components_w"]["weight_memory"] < plain["reference"]["65nm"]["components_w"]["weight_memory"]


@pytest.mark.parametrize("words", [(), ("--supply", 0.6, "--node", "40nm"), ("--n-macs", 1)])
def test_a_picture_is_drawn(model, tmp_path, words, capsys):
    from matplotlib.image import imread

    assert call(model, "--plot", tmp_path / "power.png", *words) == 0
    height, width, _ = imread(tmp_path / "power.png").shape
    assert height > 500 and width > 500


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--supply", 0.5, "--n-macs", 1, "--frames-per-s", 5000), 2, "MHz possible at 0.5 V (raise the supply, or give --n-macs"),
        (("--frames-per-s", 1e6, "--n-macs", 1), 2, "MHz possible at 1.2 V"),
        (("--plot", "/nowhere/at/all.png"), 8, "/nowhere/at/all.png"),
    ],
)
def test_what_cannot_be_is_one_line(model, words, code, text, capsys):
    assert call(model, *words) == code
    err = one_line(capsys)
    assert text in err and err.startswith("error: ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--n-macs", "0"), "argument --n-macs: '0' is no whole number from 1"),
        (("--supply", "3"), "argument --supply: '3' is no number from 0.5 to 1.2"),
        (("--frames-per-s", "many"), "argument --frames-per-s: 'many' is no number"),
        (("--node", "28nm"), "argument --node: invalid choice: '28nm'"),
        (("--word-bit", "8"), "unrecognized arguments: --word-bit"),
    ],
)
def test_a_bad_option_is_one_line(model, words, text, capsys):
    with pytest.raises(SystemExit) as ended:
        call(model, *words)
    assert ended.value.code == 2 and text in one_line(capsys)


def test_a_file_that_is_missing_altered_or_not_ours_is_one_line(model, tmp_path, capsys):
    data = bytearray(model.read_bytes())
    data[-40] ^= 1
    (tmp_path / "altered.cgs").write_bytes(data)
    (tmp_path / "short.cgs").write_bytes(model.read_bytes()[:50])
    (tmp_path / "text.cgs").write_text("not a model\n")
    for name, text in (("altered", "altered"), ("short", "short.cgs"), ("text", "not a packed model"), ("none", "no such file")):
        assert call(tmp_path / f"{name}.cgs") == 6
        assert text in one_line(capsys)


@pytest.mark.parametrize("share", ["half", -0.1, 1.5, float("nan"), [0.5]])
def test_a_description_with_an_impossible_share_of_products_is_one_line(model, tmp_path, share, capsys):
    write_packed(tmp_path / "odd.cgs", replace(read_packed(model), meta={"nonzero": share}))
    assert call(tmp_path / "odd.cgs") == 2
    err = one_line(capsys)
    assert f"nonzero {share!r}" in err and err.startswith("error: ")
