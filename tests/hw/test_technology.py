"""The table: what it must say of each figure, how it is drawn, and that a change asks for a new calibration."""

from __future__ import annotations

import re
import shutil

import numpy as np
import pytest

from cgs.base.errors import FormatError
from cgs.hw.technology import CALIBRATION, KINDS, TABLE, Figure, figures_digest, load_technology, table_digest

NODES = ("40nm", "65nm")


@pytest.mark.parametrize("node", NODES)
def test_every_figure_has_value_unit_source_kind_and_interval(node):
    tech = load_technology(node)
    for name, figure in tech.figures.items():
        assert figure.value > 0 and figure.unit and len(figure.source) >= 10, name
        assert figure.kind in KINDS and figure.low <= 1 <= figure.high, name
        assert tech[name] == figure.value, name
    assert [name for name, figure in tech.figures.items() if figure.kind == "calibrated"] == ["overhead"]


def test_a_figure_without_source_is_an_error(tmp_path):
    text = TABLE.read_text(encoding="utf-8")
    path = tmp_path / "table.toml"
    path.write_text(re.sub(r'(\[figures.utilisation\]\nvalue = 0.7\nunit = "1"\nkind = "assumed"\n)source = .*\n', r"\1", text), encoding="utf-8")
    with pytest.raises(FormatError, match=r"figure utilisation: no \['source'\]"):
        load_technology("40nm", path)
    with pytest.raises(FormatError, match="no node '28nm'"):
        load_technology("28nm")
    assert table_digest(path) != table_digest()


def test_a_table_changed_since_calibration_is_an_error(tmp_path):
    path = tmp_path / "technology.toml"
    shutil.copy(TABLE, path)
    assert figures_digest(path) == figures_digest()
    assert load_technology("40nm", path)["overhead"] > 0
    path.write_text(path.read_text(encoding="utf-8").replace("value = 0.54", "value = 0.55"), encoding="utf-8")
    with pytest.raises(FormatError, match=r"changed since calibration.toml was made.*python -m cgs.hw.calibration"):
        load_technology("40nm", path)
    assert load_technology("40nm", path, calibration=None)["overhead"] == 1


def test_a_comment_needs_no_calibration(tmp_path):
    path = tmp_path / "technology.toml"
    path.write_text("# a remark\n" + TABLE.read_text(encoding="utf-8"), encoding="utf-8")
    assert load_technology("65nm", path, CALIBRATION)["overhead"] == load_technology("65nm")["overhead"]


def test_draws_put_low_and_high_at_five_and_ninety_five_per_cent():
    figure = Figure(3.0, "1", "assumption: planted", "assumed", 0.5, 4.0)
    factors = figure.factors(np.random.default_rng(1).standard_normal(200_000))
    np.testing.assert_allclose(np.percentile(factors, (5, 50, 95)), (0.5, 1, 4), rtol=0.03)
    certain = Figure(3.0, "1", "assumption: planted", "assumed", 1.0, 1.0)
    assert (certain.factors(np.array([-3.0, 0.0, 3.0])) == 1).all()


def test_nodes_share_the_draws_of_what_they_share_and_seeds_change_them():
    small, large = (load_technology(node).drawn(50, seed=3) for node in NODES)
    for name in ("logic_energy", "wire_capacitance", "sram_energy"):
        np.testing.assert_array_equal(small[name], large[name])
    assert (small["logic_energy"] != load_technology("40nm").drawn(50, seed=4)["logic_energy"]).all()
    correlation = np.corrcoef(load_technology("40nm").drawn(4000, 3)["logic_energy"], load_technology("40nm").drawn(4000, 3)["clock_tree"])[0, 1]
    assert abs(correlation) < 0.06
