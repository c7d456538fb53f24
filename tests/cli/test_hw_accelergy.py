"""cgs hw accelergy: files and a table of one packed file, by our tables and by a user's; what cannot be is one line and nothing is left behind."""

from __future__ import annotations

import json

import pytest
import yaml

from cgs.cli.main import main

from .conftest import one_line  # isort: skip

FILES = ["ART.yaml", "ERT.yaml", "action_counts.yaml", "architecture.yaml", "energy_estimation.yaml"]


def call(*words):
    return main(["hw", *(str(word) for word in words)])


def read(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))[path.stem]


def test_the_files_hold_the_energy_that_estimate_tells(model, tmp_path, capsys):
    options = ("--node", "65nm", "--supply", 0.9, "--n-macs", 4, "--frames-per-s", 50, "--word-bits", 32, "--bank-bytes", 4096, "--temperature-k", 330)
    assert call("estimate", model, *options, "--json") == 0
    told = json.loads(capsys.readouterr().out)["nodes"]["65nm"][0]
    assert call("accelergy", model, *options, "--out", tmp_path / "made" / "here") == 0
    out = capsys.readouterr().out.splitlines()
    assert sorted(path.name for path in (tmp_path / "made" / "here").iterdir()) == FILES
    assert read(tmp_path / "made" / "here" / "energy_estimation.yaml")["Total"] == pytest.approx(1e12 * told["energy_per_frame_j"], rel=1e-5)
    assert sum(part["area"] for part in read(tmp_path / "made" / "here" / "ART.yaml")["tables"]) == pytest.approx(1e12 * told["area_m2"], rel=1e-5)
    assert out[0].split() == ["component", "energy", "a", "frame", "share", "area"]
    assert out[-1].split()[:2] == ["total", f"{1e9 * told['energy_per_frame_j']:.3g}"]
    assert [line.split()[0] for line in out[1:-1]] == [part["name"] for part in read(tmp_path / "made" / "here" / "ERT.yaml")["tables"]]


def test_a_users_tables_are_in_the_files_and_the_table(model, tmp_path, capsys):
    (tmp_path / "ert.yaml").write_text("ERT: {version: 0.4, tables: [{name: engine.mac, actions: [{name: compute, energy: 2}]}]}\n")
    (tmp_path / "art.yaml").write_text("ART: {version: 0.4, tables: [{name: engine.weights, area: 2.5e+6}]}\n")
    assert call("accelergy", model, "--out", tmp_path / "made", "--ert", tmp_path / "ert.yaml", "--art", tmp_path / "art.yaml") == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert " 403 nJ " in lines["engine.mac"] and " 2.5 mm2 " in lines["engine.weights"] and "with our tables" in lines["component"]
    energies = {part["name"]: part["energy"] for part in read(tmp_path / "made" / "energy_estimation.yaml")["components"]}
    assert energies["engine.mac"] == 403000
    assert {"name": "engine.weights", "area": 2.5e6} in read(tmp_path / "made" / "ART.yaml")["tables"]
    assert {"name": "compute", "arguments": {}, "energy": 2.0} in [part["actions"][0] for part in read(tmp_path / "made" / "ERT.yaml")["tables"]]


@pytest.mark.parametrize(
    ("words", "code", "text"),
    [
        (("--ert", "none.yaml"), 6, "none.yaml: no such file"),
        (("--ert", "art.yaml"), 6, "art.yaml: no ERT (give"),
        (("--art", "art.yaml"), 6, "art.yaml: component 'engine.cache' is not of this engine (known: engine.weights, "),
        (("--supply", "0.5", "--n-macs", "1", "--frames-per-s", "5000"), 2, "MHz possible at 0.5 V (raise the supply, or give --n-macs"),
    ],
)
def test_what_cannot_be_is_one_line_and_leaves_nothing(model, tmp_path, monkeypatch, words, code, text, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "art.yaml").write_text("ART: {version: 0.4, tables: [{name: engine.cache, area: 1}]}\n")
    assert call("accelergy", model, "--out", "made", *words) == code
    err = one_line(capsys)
    assert text in err and err.startswith("error: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["art.yaml", "model.cgs"]


def test_a_directory_that_is_there_is_kept(model, tmp_path, capsys):
    (tmp_path / "made").mkdir()
    assert call("accelergy", model, "--out", tmp_path / "made") == 2
    assert "made: is there already (remove it" in capsys.readouterr().err and list((tmp_path / "made").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        ((), "the following arguments are required: --out"),
        (("--out", "made", "--node", "28nm"), "argument --node: invalid choice: '28nm'"),
        (("--out", "made", "--supply", "3"), "argument --supply: '3' is no number from 0.5 to 1.2"),
    ],
)
def test_a_bad_option_is_one_line(model, words, text, capsys):
    with pytest.raises(SystemExit) as ended:
        call("accelergy", model, *words)
    assert ended.value.code == 2 and text in one_line(capsys)
