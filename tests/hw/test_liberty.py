"""Libraries of standard cells: a planted one by hand, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgs.base.errors import ConfigError, FormatError
from cgs.hw.liberty import read_liberty

TEXT = """/* planted */
library (some) {
  capacitive_load_unit (1, ff); leakage_power_unit : "1nW"; nom_voltage : 2.0;
  power_lut_template (loads) { variable_1 : input_transition_time; variable_2 : total_output_net_capacitance; index_1 ("0, 1"); index_2 ("0, 10"); }
  power_lut_template (slopes) { variable_1 : input_transition_time; index_1 ("0, 1, 2, 3"); }
  cell (NAND2X1) { area : 2; cell_leakage_power : 3;
    pin (A, B) { direction : input; capacitance : 1.5; }
    pin (Y) { direction : output; capacitance : 9; function : "!(A*B)";
      internal_power () { related_pin : "A"; rise_power (loads) { values ("1, 3", \\
                                                                          "9, 9"); } fall_power (loads) { values ("3, 5", "9, 9"); } }
    } }
  cell (NAND2X2) { area : 3; }
  cell (ICG) { area : 5; clock_gating_integrated_cell : "latch_posedge";
    pin (C) { direction : input; capacitance : 1; clock_gate_clock_pin : true; } pin (E) { direction : input; clock_gate_enable_pin : true; }
    pin (Z) { direction : output; clock_gate_out_pin : true; } }
  cell (TESTED) { area : 1; clock_gating_integrated_cell : latch_posedge_precontrol; pin (C) { direction : input; clock_gate_clock_pin : true; } }
  cell ("DFF") { area : 8; ff (IQ, IQN) { clocked_on : "CK"; next_state : "D"; }
    pin (CK) { clock : true; direction : input; capacitance : 1; internal_power () { rise_power (slopes) { values ("1, 2, 30, 40"); } } }
    pin (D) { direction : input; capacitance : 0.5; internal_power () { power (scalar) { values ("7"); } } } }
}
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "some.lib"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_planted_library_by_hand(tmp_path: Path) -> None:
    library = read_liberty(write(tmp_path, TEXT))
    assert library.supply == 2.0 and library.nand2_area() == 2.0 and set(library.cells) == {"NAND2X1", "NAND2X2", "ICG", "TESTED", "DFF"}
    nand, flop = library.cells["NAND2X1"], library.cells["DFF"]
    assert nand.leakage == pytest.approx(3e-9) and set(nand.pins) == {"A", "B", "Y"}
    assert nand.pins["A"].capacitance == pytest.approx(1.5e-15) and not nand.pins["A"].is_output
    out = nand.pins["Y"]
    assert out.is_output and out.capacitance == 0.0
    assert [out.energy(load) for load in (0.0, 5e-15, 10e-15, 99e-15)] == pytest.approx([2e-15, 3e-15, 4e-15, 4e-15])  # the steep slope, both edges
    assert flop.pins["CK"].is_clock and flop.pins["CK"].energy(0.0) == pytest.approx(2e-15)
    gate = library.clock_gate()
    assert gate is library.cells["ICG"] and gate.gate_pins == {"clk_i": "C", "enable_i": "E", "clk_o": "Z"} and gate.pins["C"].is_clock
    assert flop.pins["D"].energy(1e-15) == pytest.approx(7e-15)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("not a library", "not one library"),
        (TEXT[: TEXT.rindex("}")], "not one library"),
        (TEXT + "}", "not one library"),
        (TEXT.replace("area : 8", "area : eight"), "could not convert"),
        (TEXT.replace("1, ff", "1, mile"), "mile"),
        (TEXT.replace('values ("1, 3"', 'values ("1"'), "reshape"),
    ],
)
def test_what_is_no_library_is_refused(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(FormatError, match=told):
        read_liberty(write(tmp_path, text))


def test_a_library_without_nand2_or_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no such library"):
        read_liberty(tmp_path / "none.lib")
    with pytest.raises(ConfigError, match="no NAND2"):
        read_liberty(write(tmp_path, TEXT.replace("NAND2", "NOR2"))).nand2_area()
