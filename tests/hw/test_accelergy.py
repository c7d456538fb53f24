"""Accelergy's files: counts times our tables are our estimate, a user's tables replace what they name and nothing else, Accelergy itself agrees."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest
import yaml

from cgs.base.errors import FormatError
from cgs.hw.accelergy import documents, system_of
from cgs.hw.accelergy_tables import table, with_areas, with_energies, write
from cgs.hw.chips import KEYWORD
from cgs.hw.costs import access_energy, area, frame_energy, leakage
from cgs.hw.counts import Engine, count, even_shape
from cgs.hw.model import at_supply
from cgs.hw.technology import load_technology

MIXED = [even_shape(64, 32, 0.5, 8, 5), even_shape(32, 10, 1.0, 8, 3)]
COUNTS = {
    "keyword": KEYWORD.counts(),
    "blocks of two widths": count(MIXED, Engine(n_macs=4, bank_bytes=512)),
    "one MAC, small words": count(MIXED[:1], Engine(word_bits=8)),
}


@pytest.fixture
def small():
    return system_of(COUNTS["blocks of two widths"], load_technology("40nm"), 0.7, 50.0)


def energies(made):
    return {(part.full_name, action): energy for part in made.components for action, energy in part.energies_pj.items()}


def file_of(tmp_path, text):
    (tmp_path / "own.yaml").write_text(text, encoding="utf-8")
    return tmp_path / "own.yaml"


@pytest.mark.parametrize("node", ["40nm", "65nm"])
@pytest.mark.parametrize("name", COUNTS)
def test_counts_times_the_tables_are_the_estimate(name, node):
    counts, tech = COUNTS[name], load_technology(node)
    made, told = system_of(counts, tech, 0.7, 50.0, 330.0), at_supply(counts, tech, 0.7, 50.0, 330.0, with_intervals=False)
    assert made.energy_pj == pytest.approx(1e12 * told["energy_per_frame_j"], rel=1e-5)
    assert made.area_um2 == pytest.approx(1e12 * told["area_m2"], rel=1e-5)
    for part in made.components:
        if part.name in told["components_w"]:
            assert part.energy_pj == pytest.approx(1e12 * told["components_w"][part.name] / 50, rel=1e-5)


def test_an_access_and_a_cycle_of_leakage_cost_what_the_laws_say(small):
    counts, tech = COUNTS["blocks of two widths"], load_technology("40nm")
    cycle_s, areas = 1 / (counts.cycles * 50.0), area(counts, tech)
    scale, told = 1e12 * tech["overhead"] * tech["model_error"] * 0.7**2, energies(small)
    for name, memory in counts.memories.items():
        read, write = (scale * energy for energy in access_energy(name, memory, counts.engine, areas[name], tech))
        assert (told[f"engine.{name}", "read"], told[f"engine.{name}", "write"]) == pytest.approx((read, write), rel=1e-5)
    leaks = leakage(counts, tech, 0.7)
    assert sum(told[f"engine.{name}", "leak"] for name in counts.memories) == pytest.approx(1e12 * cycle_s * leaks["memory_leakage"], rel=1e-5)
    assert told["engine.logic", "leak"] == pytest.approx(1e12 * cycle_s * leaks["logic_leakage"], rel=1e-5)
    assert told["engine.mac", "compute"] == pytest.approx(1e12 * 0.7**2 * frame_energy(counts, tech)["mac"] / counts.macs, rel=1e-5)


def test_a_network_counted_by_hand():
    """A dense layer of 12 inputs and 3 outputs on 3 MACs: 1 + 1 + 12 + 3 cycles."""
    made = system_of(count([even_shape(12, 3, 1.0, 12, 5)], Engine(n_macs=3)), load_technology("65nm"), 1.0, 100.0)
    told = documents(made)
    parts = {part["name"]: {action["name"]: action["counts"] for action in part["action_counts"]} for part in told["action_counts"]["subtree"][0]["local"]}
    assert parts == {
        "weights": {"read": 3, "write": 0, "leak": 17},  # four cycles of three weights to a word
        "bias": {"read": 3, "write": 0, "leak": 17},
        "table": {"read": 1, "write": 0, "leak": 17},
        "activations": {"read": 2, "write": 2, "leak": 17},
        "mac": {"compute": 36},
        "output": {"cycle": 17},
        "control": {"cycle": 17},
        "clock": {"cycle": 17},
        "logic": {"leak": 17},
    }
    node = told["architecture"]["subtree"][0]
    assert node["attributes"] == {"technology": "65nm", "global_cycle_seconds": 1 / 1700, "supply_v": 1.0, "temperature_k": 300.0}
    weights, mac = node["local"][0], node["local"][4]
    assert weights["attributes"] == {"width": 60, "depth": 3, "n_banks": 1, "n_rdwr_ports": 1, "n_rd_ports": 0, "n_wr_ports": 0}
    assert (weights["class"], weights["required_actions"]) == ("SRAM", ["read", "write", "leak"])
    assert mac["attributes"] == {"multiplier_width": 8, "adder_width": 17, "n_macs": 3}


def test_files_hold_the_documents_and_our_own_tables_change_nothing(small, tmp_path):
    write(small, tmp_path)
    for key, document in documents(small).items():
        assert yaml.safe_load((tmp_path / f"{key}.yaml").read_text(encoding="utf-8")) == {key: document}
    assert 'technology: "40nm"' in (tmp_path / "architecture.yaml").read_text(encoding="utf-8")
    assert with_areas(with_energies(small, tmp_path / "ERT.yaml"), tmp_path / "ART.yaml") == small
    assert "with our tables" not in table(small, small)


def test_a_users_tables_replace_what_they_name_and_nothing_else(small, tmp_path):
    ert = """ERT:
  version: '0.3'
  tables:
  - name: engine.mac
    actions: [{name: compute, arguments: {global_cycle_seconds: 1e-09}, energy: 2}]
  - {name: engine.weights, actions: [{name: read, energy: 1e-05}, {name: leak, arguments: {}, energy: 0}]}
"""
    own = with_energies(small, file_of(tmp_path, ert))
    assert energies(own) == energies(small) | {("engine.mac", "compute"): 2, ("engine.weights", "read"): 1e-5, ("engine.weights", "leak"): 0}
    parts = {part.name: part for part in own.components}
    counts = COUNTS["blocks of two widths"]
    assert parts["mac"].energy_pj == 2 * counts.macs
    assert parts["weights"].energy_pj == pytest.approx(1e-5 * counts.memories["weights"].reads)
    same = [name for name in parts if name not in ("mac", "weights")]
    assert own.energy_pj == pytest.approx(sum(parts[name].energy_pj for name in ("mac", "weights", *same)))
    own = with_areas(own, file_of(tmp_path, "ART: {version: 0.4, tables: [{name: engine.clock, area: 250}]}"))
    assert own.area_um2 == pytest.approx(small.area_um2 + 250)
    lines = {line.split()[0]: line for line in table(own, small).splitlines()}
    assert f"{2e-3 * counts.macs:.3g} nJ" in lines["engine.mac"] and lines["engine.clock"].endswith(" 0 mm2")
    assert lines["engine.bias"].rstrip().endswith("mm2") and "," not in lines["engine.bias"] and "," in lines["total"]


def ert(tables, version="0.4"):
    return f"ERT: {{version: {version}, tables: [{tables}]}}"


def of_weights(actions):
    return ert(f"{{name: engine.weights, actions: [{actions}]}}")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("ERT:\n  version: [1", r"own.yaml:2: not YAML \(expected .*\) \(correct the file\)"),
        ("[" * 2000, r"own.yaml: not YAML"),
        ("\x00", r"own.yaml: not YAML"),
        ("", r"own.yaml: no ERT \(give"),
        ("ART: {version: 0.4, tables: []}", r"own.yaml: no ERT \(give"),
        (ert("", version="0.2"), r"own.yaml: ERT of version '0.2' \(give one of 0.3 or 0.4\)"),
        ("ERT: {tables: []}", r"own.yaml: ERT of version None \(give"),
        (ert(""), r"own.yaml: component \[\] is not of this engine \(known: engine.weights, engine.index, "),
        ("ERT: {version: 0.4}", r"own.yaml: component None is not of this engine"),
        (ert("{name: engine.cache, actions: []}"), r"own.yaml: component 'engine.cache' is not of this engine \(known: engine.weights, "),
        (ert("{name: [], actions: []}"), r"own.yaml: component \[\] is not of this engine"),
        (ert("{name: engine.weights}"), r"own.yaml: engine.weights: action None is not of this engine \(known: read, write, leak\)"),
        (of_weights("{name: reads, energy: 1}"), r"own.yaml: engine.weights: action 'reads' is not of this engine \(known: read, write, leak\)"),
        (of_weights("{energy: 1}"), r"own.yaml: engine.weights: action None is not of this engine"),
        (of_weights("read, write"), r"own.yaml: engine.weights: action 'read' is not of this engine"),
        (of_weights("{name: read, energy: 1}, {name: read, energy: 2}"), r"engine.weights: action read is there twice \(give it once, without arguments\)"),
        (of_weights("{name: read}"), r"own.yaml: engine.weights: read: energy None \(give a number of pJ, 0 or more\)"),
        (of_weights("{name: read, energy: -1}"), r"own.yaml: engine.weights: read: energy '-1' \(give a number of pJ, 0 or more\)"),
        (of_weights("{name: read, energy: .nan}"), r"own.yaml: engine.weights: read: energy '.nan' \(give"),
        (of_weights("{name: read, energy: nan}"), r"own.yaml: engine.weights: read: energy 'nan' \(give"),
        (of_weights("{name: read, energy: inf}"), r"own.yaml: engine.weights: read: energy 'inf' \(give"),
        (of_weights("{name: read, energy: yes}"), r"own.yaml: engine.weights: read: energy 'yes' \(give"),
        (of_weights("{name: read, energy: [1]}"), r"own.yaml: engine.weights: read: energy \['1'\] \(give"),
    ],
)
def test_a_table_that_cannot_be_is_one_line(small, tmp_path, text, told):
    with pytest.raises(FormatError, match=told) as raised:
        with_energies(small, file_of(tmp_path, text))
    assert "\n" not in str(raised.value)


def test_an_area_that_cannot_be_and_a_file_that_is_not_there(small, tmp_path):
    for text, told in (
        ("{name: engine.mac, area: -3}", r"own.yaml: engine.mac: area '-3' \(give a number of um2, 0 or more\)"),
        ("{name: engine.mac, area: 1}, {name: engine.mac, area: 1}", r"own.yaml: component engine.mac is there twice"),
        ("{name: mac, area: 1}", r"own.yaml: component 'mac' is not of this engine"),
    ):
        with pytest.raises(FormatError, match=told):
            with_areas(small, file_of(tmp_path, f"ART: {{version: 0.4, tables: [{text}]}}"))
    with pytest.raises(FormatError, match="none.yaml: no such file"):
        with_areas(small, tmp_path / "none.yaml")
    (tmp_path / "latin.yaml").write_bytes(b"ART: \xe9")
    with pytest.raises(FormatError, match="latin.yaml: not YAML"):
        with_areas(small, tmp_path / "latin.yaml")


@pytest.fixture
def accelergy(tmp_path):
    """Runs Accelergy on files, with a home of its own since it writes a configuration there; returns its estimation."""
    program = shutil.which("accelergy") or pytest.skip("accelergy is not installed")

    def run(*files):
        words = [program, *map(str, files), "-o", str(tmp_path)]
        done = subprocess.run(words, cwd=tmp_path, env=os.environ | {"HOME": str(tmp_path)}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return yaml.safe_load((tmp_path / "energy_estimation.yaml").read_text(encoding="utf-8"))["energy_estimation"]

    return run


def test_accelergy_computes_the_same_energy(small, tmp_path, accelergy):
    write(small, tmp_path / "ours")
    told = accelergy(*(tmp_path / "ours" / f"{key}.yaml" for key in documents(small)), "-f", "energy_estimation")
    ours = documents(small)["energy_estimation"]
    assert told["Total"] == pytest.approx(ours["Total"], rel=1e-12)
    assert {part["name"]: part["energy"] for part in told["components"]} == pytest.approx({part["name"]: part["energy"] for part in ours["components"]})


def test_tables_that_accelergy_makes_of_our_architecture_are_read(small, tmp_path, accelergy):
    """With the estimator that comes with it, for which every action but leakage costs 1 pJ and every component covers 1 um2."""
    write(small, tmp_path / "ours")
    architecture = tmp_path / "ours" / "architecture.yaml"
    architecture.write_text(architecture.read_text(encoding="utf-8").replace('"40nm"', "-1"), encoding="utf-8")
    told = accelergy(architecture, tmp_path / "ours" / "action_counts.yaml")
    own = with_areas(with_energies(small, tmp_path / "ERT.yaml"), tmp_path / "ART.yaml")
    assert own.energy_pj == told["Total"] == sum(n for part in own.components for name, n in part.counts.items() if name != "leak")
    assert own.area_um2 == len(own.components)
