"""cgs hw explore: a table, JSON and a picture of one packed file; what cannot be is one line and an exit code."""

from __future__ import annotations

import json

import pytest

from cgs.cli.hw_explore import supplies
from cgs.cli.main import main

from .conftest import one_line  # isort: skip


def call(*words):
    return main(["hw", "explore", *(str(word) for word in words)])


def test_the_table_counts_the_points_marks_the_suggestion_and_says_why(model, capsys):
    assert call(model, "--n-macs", "1,8,8", "--supply", "0.5,0.6", "--node", "40nm", "--word-bits", "64", "--bank-bytes", "4096") == 0
    out = capsys.readouterr().out
    assert out.startswith("3 of 4 points keep up with 100 frames/s")
    assert [line.split()[1:6] for line in out.splitlines() if line.startswith("  *")] == [["40nm", "8", "64", "4096", "0.5"]]
    assert "suggested, least power: 40nm, 8 MACs" in out and "not possible below 0.6 V" in out


def test_json_holds_the_front_and_intervals_of_some(model, capsys):
    assert call(model, "--json", "--supply", "0.5:1.2:0.02") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n_points"] == 5 * 3 * 2 * 36 * 2 and told["n_real_time"] == told["n_allowed"] < told["n_points"]
    powers = [at["power_w"] for at in told["front"]]
    assert powers == sorted(powers) and told["suggested"] == told["front"][0]
    assert sum("power_interval_w" in at for at in told["front"]) == 10 < len(told["front"])


def test_limits_are_kept(model, capsys):
    assert call(model, "--json", "--max-latency", 1, "--max-area", 1) == 0
    told = json.loads(capsys.readouterr().out)
    assert all(at["latency_s"] <= 1e-3 and at["area_m2"] <= 1e-6 for at in told["front"]) and told["n_allowed"] < told["n_real_time"]


def test_a_picture_is_drawn(model, tmp_path, capsys):
    from matplotlib.image import imread

    assert call(model, "--plot", tmp_path / "front.png", "--supply", "0.6") == 0
    height, width, _ = imread(tmp_path / "front.png").shape
    assert height > 500 and width > 1000


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--supply", "0.5", "--frames-per-s", 1e6), 2, "points keeps up; nearest: "),
        (("--max-area", 0.01), 2, "is within the limits; least area "),
        (("--word-bits", "8", "--max-latency", 1e-6), 2, "least latency "),
        (("--plot", "/nowhere/at/all.png", "--supply", "0.6"), 8, "/nowhere/at/all.png"),
    ],
)
def test_what_cannot_be_is_one_line(model, words, code, text, capsys):
    assert call(model, *words) == code
    err = one_line(capsys)
    assert text in err and err.startswith("error: ")


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (("--supply", "0.5:1.2"), "argument --supply: '0.5:1.2' is neither a supply nor FROM:TO:STEP"),
        (("--supply", "0.9:0.5:0.1"), "argument --supply: '0.9:0.5:0.1' goes down"),
        (("--supply", "0.5:1.2:0"), "argument --supply: '0' is no number from 0.001 to 1.2"),
        (("--supply", "0.4:1.2:0.1"), "argument --supply: '0.4' is no number from 0.5 to 1.2"),
        (("--supply", "0.5,,0.6"), "argument --supply: '' is no number from 0.5 to 1.2"),
        (("--n-macs", "1,0"), "argument --n-macs: '0' is no whole number from 1"),
        (("--node", "40nm,28nm"), "argument --node: invalid choice: '28nm'"),
        (("--max-area", "-1"), "argument --max-area: '-1' is no number from"),
    ],
)
def test_a_bad_option_is_one_line(model, words, text, capsys):
    with pytest.raises(SystemExit) as ended:
        call(model, *words)
    assert ended.value.code == 2 and text in one_line(capsys)


def test_ranges_of_supplies():
    assert supplies("0.5:1.2:0.1") == [0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2]
    assert supplies("0.5:0.64:0.05,0.9,0.55") == [0.5, 0.55, 0.6, 0.9]
    assert supplies("0.7:0.7:0.1") == [0.7]
