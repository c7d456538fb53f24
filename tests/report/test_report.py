"""The report of a made experiment: rows follow the schema, comparisons find what was planted, the page is whole and asks for nothing."""

from __future__ import annotations

import dataclasses
import json
import re
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cgs.base.errors import DataError
from cgs.base.experiment import Experiment
from cgs.base.options import ReportOptions, SystemOptions
from cgs.hw.estimate import count_packed
from cgs.hw.model import at_supply
from cgs.hw.technology import load_technology
from cgs.quant.packed import read_packed
from cgs.report import comparison, plots, provenance
from cgs.report.markdown import markdown, notes
from cgs.report.page import page
from cgs.report.results import gather
from cgs.report.rows import ROW_KEYS, collect_rows
from cgs.report.tables import headlines, number, systems_table, tables
from cgs.stages import report


@pytest.fixture(scope="session")
def written(made: Experiment) -> Path:
    report.run(made)
    return made.root / "10-report"


@pytest.fixture(scope="session")
def results(written: Path) -> dict[str, Any]:
    return json.loads((written / "results.json").read_text(encoding="utf-8"))


def test_results_follow_the_schema(results):
    assert {"recipe", "commit", "config_digest", "data_digest", "machine", "rows"} <= results.keys()
    for row in results["rows"]:
        assert set(ROW_KEYS) <= row.keys()
        assert row["task"] in ("asr", "kws") and (row["wer"] is None) == (row["task"] == "kws") == (row["auc"] is not None)
        for key in ("wer", "ser", "auc", "reduction_vs_float32"):
            assert row[key] is None or row[key] <= 1  # fractions
    packed = next(row for row in results["rows"] if row["engine"] == "packed" and row["system"] == "cgs")
    assert set(packed["hardware"]) == {"40nm", "65nm"}
    assert {"supply_v", "clock_hz", "power_w", "power_interval_w", "energy_per_frame_j", "area_m2"} <= packed["hardware"]["40nm"].keys()
    assert packed["bits"] == 6 and packed["density"] == 0.25


def test_every_system_seed_engine_and_condition_has_one_row(results):
    keys = [(row["system"], row["seed"], row["engine"], row["condition"]) for row in results["rows"]]
    assert len(keys) == len(set(keys)) == 2 + 2 * 2 * 2 * 2 + 2 * 2 * 2
    assert ("gmm", 0, "gmm", "test") in keys and ("cgs", 2, "packed", "test/lexicon") in keys and ("kws_cgs", 1, "float", "test_isolated") in keys


def test_rows_repeat_what_the_stages_wrote(made, results):
    row = next(r for r in results["rows"] if (r["system"], r["seed"], r["engine"], r["condition"]) == ("cgs", 2, "packed", "test"))
    pack = json.loads((made.root / "7-pack/cgs/seed2/pack.json").read_text())
    entry = json.loads((made.root / "8-decode/cgs/seed2/result.json").read_text())["engines"]["packed"]["test"]
    assert row["file_bytes"] == pack["file_bytes"] == (made.root / "7-pack/cgs/seed2/model.cgs").stat().st_size
    assert (row["wer"], row["wer_ci"]) == (entry["wer"], entry["wer_ci"])
    float_row = next(r for r in results["rows"] if (r["system"], r["seed"], r["engine"], r["condition"]) == ("cgs", 2, "float", "test"))
    assert float_row["bits"] == 32 and float_row["hardware"] is None
    assert float_row["file_bytes"] == (made.root / "5-acoustic/cgs/seed2/model.safetensors").stat().st_size


@pytest.mark.parametrize(
    ("block", "block_in", "shown"),
    [(16, 0, 16), (16, 64, "16x64"), (16, 16, "16"), (16, [64, 8, 0], "16x64, 16x8, 16"), ([16, 8, 1], 64, "16x64, 8x64, 1x64"), ([16, 8, 4], 0, [16, 8, 4])],
)
def test_rows_tell_both_sides_of_a_block(block, block_in, shown, made):
    cgs = made.recipe.systems["cgs"]
    systems = made.recipe.systems | {"cgs": SystemOptions(**cgs.model_dump(exclude_unset=True) | {"block": block, "block_in": block_in})}
    exp = dataclasses.replace(made, recipe=made.recipe.model_copy(update={"systems": systems}))
    rows = [row for row in collect_rows(exp) if row["system"] == "cgs"]
    assert rows and all(row["block"] == shown for row in rows)
    material = gather(exp)
    told = [row for row in systems_table(material, "asr").rows if row[0].startswith("cgs")]
    assert told and all(row[2] == str(shown) for row in told)


def test_planted_differences_are_found(results):
    told = {(c["system"], c["engine"], c["measure"], c["seed"]): c for c in results["comparisons"] if c["condition"] == "test"}
    worse = told["cgs", "packed", "wer", "all"]
    assert worse["verdict"] == "worse" and 0.1 < worse["difference"] < 0.2
    assert told["kws_cgs", "float", "auc", 1]["verdict"] == "not distinguishable"
    assert ("dense", "float", "wer", 1) not in told
    by_hand = [told["cgs", "packed", "wer", seed]["difference"] for seed in (1, 2)]
    assert worse["difference"] == pytest.approx(np.mean(by_hand))


@pytest.mark.parametrize(
    ("measure", "low", "high", "expected"),
    [
        ("wer", 0.01, 0.02, "worse"),
        ("wer", -0.02, -0.01, "better"),
        ("auc", -0.02, -0.01, "worse"),
        ("auc", 0.01, 0.02, "better"),
        ("ser", 0, 0.1, "not distinguishable"),
    ],
)
def test_verdict_knows_which_direction_is_worse(measure, low, high, expected):
    assert comparison.verdict(measure, low, high) == expected


def test_comparison_in_words():
    told = {"interval": [-0.012, -0.002], "difference": -0.005, "verdict": "worse"}
    assert comparison.sentence(told) == "worse by 0.50 [0.20, 1.20]"
    told = {"interval": [-0.01, 0.02], "difference": 0.001, "verdict": "not distinguishable"}
    assert comparison.sentence(told) == "not distinguishable (+0.10 [-1.00, +2.00])"


def test_other_utterances_are_an_error(tmp_path, make):
    exp = make(tmp_path, ("kws_dense", "kws_cgs"))
    path = tmp_path / "8-decode/kws_cgs/seed1/packed.test.jsonl"
    path.write_text(path.read_text().replace("s00-000", "s00-999"))
    with pytest.raises(DataError, match="different utterances, e.g. s00-000"):
        gather(exp)


def test_markdown_contains_the_numbers_of_the_results(written, results):
    text = (written / "RESULTS.md").read_text(encoding="utf-8")
    for row in results["rows"]:
        if row["wer"] is not None:
            assert f"{100 * row['wer']:.2f} [{100 * row['wer_ci'][0]:.2f}, {100 * row['wer_ci'][1]:.2f}]" in text
        if row["auc"] is not None:
            assert number(row["auc"]) in text
        if row["engine"] == "packed":
            assert f"{100 * row['reduction_vs_float32']:.2f}, {100 * row['reduction_vs_float64']:.2f}" in text
    assert results["config_digest"] in text and results["data_digest"] in text
    assert "--corpus DIR" in text and "private" not in text
    assert "Made & \\<measured\\>" in text and "12.3" in text
    assert not re.search(r"\bnan\b|None", text)
    columns = [line.count("|") for line in re.search(r"## Systems: recognition\n\n((?:\|.*\n)+)", text).group(1).splitlines()]
    assert len(set(columns)) == 1


def test_phones_are_called_phones(made):
    """report.unit names the rate; phones have no characters, and numbers stay the same."""
    words, phones = gather(made), gather(dataclasses.replace(made, recipe=made.recipe.model_copy(update={"report": ReportOptions(unit="phone")})))
    shown = {"word": systems_table(words, "asr"), "phone": systems_table(phones, "asr")}
    assert shown["word"].header[4:7] == ["WER, %", "CER, %", "SER, %"] and shown["phone"].header[4:6] == ["PER, %", "SER, %"]
    assert [row[:5] for row in shown["word"].rows] == [row[:5] for row in shown["phone"].rows]
    assert "; PER " in headlines(phones)[0] and ">PER<" in page(phones) and "WER" not in markdown(phones)


def test_page_tells_the_most_frequent_errors(made, written):
    found = json.loads((made.root / "8-decode/cgs/seed1/result.json").read_text())["engines"]["packed"]["test"]["confusions"]
    ref, hyp, n = found[0]
    assert hyp == "wrong" and n >= found[1][2] and f"<td>{ref} &gt; wrong: {n}</td>" in (written / "index.html").read_text(encoding="utf-8")


def test_words_outside_the_text_have_a_table_where_a_vocabulary_holds_any(made):
    material = gather(made)
    title = "Words outside the training text: recognition"
    assert title not in {table.title for table in tables(material)}
    for row in material.rows("asr") + material.rows("asr", main=False):
        opened = row["condition"] != "test"
        row |= {"n_unknown": 40, "n_unknown_recognised": 10 * opened, "n_unknown_hypothesised": 16 * opened}
        row |= {"unknown_recall": 0.25 * opened, "unknown_precision": 0.625 if opened else None}
    (table,) = (table for table in tables(material) if table.title == title)
    assert len(table.rows) == 10, "the GMM, and two engines of two systems, in two conditions"
    assert ["test", "cgs packed", "40", "0", "0", "0.00", "-"] in table.rows
    assert ["test/lexicon", "GMM", "40", "10", "16", "25.00", "62.50"] in table.rows


def test_guessed_pronunciations_are_told(made):
    material = gather(made)
    assert not any("guessed" in note for note in notes(material))
    material.results["lang"]["g2p"] = {"n_guessed": 3, "n_running_guessed": 7, "n_left": 0}
    assert any("3 words of the training text, 7 of its running words, are guessed from their spelling" in note for note in notes(material))


def test_lattices_and_graphs_have_tables(made, written):
    found = {table.title: table for table in tables(gather(made))}
    lattice, graph = found["In the lattice: recognition"], found["Decoding graphs"]
    assert lattice.header == ["condition", "system", "best path, WER %", "MBR, WER %", "oracle, WER %", "density", "beam"]
    assert len(lattice.rows) == 2 * 2 * 2 and all(row[2] == "43.21" and row[4:] == ["1.23", "12.3", "6"] for row in lattice.rows)
    assert graph.rows == [["train", "12345", "23456", "7.5 MB", "321 MB", "1m05s"]]
    page_text, text = (written / "index.html").read_text(encoding="utf-8"), (written / "RESULTS.md").read_text(encoding="utf-8")
    assert all("12.3" in told and "321 MB" in told for told in (page_text, text))


def test_headlines_say_size_accuracy_and_power(made):
    told = headlines(gather(made))
    assert len(told) == 2
    expected = r"cgs \(density 0.25, 6 bit, mean of 2 seeds\): file \d\d\.\d % smaller than 32-bit floats; WER .* worse by .* nW estimated at 40 nm"
    assert re.match(expected, told[0])
    assert "AUC" in told[1] and "not distinguishable" in told[1]


def assert_whole_and_alone(text: str) -> ElementTree.Element:
    """The page is well-formed, runs nothing and fetches nothing."""
    root = ElementTree.fromstring(text)
    assert not re.search(r"<script|<link|<iframe|<img|@import|url\((?!#)|\ssrc=", text)
    for element in root.iter():
        for name, value in element.attrib.items():
            assert not name.startswith("on")
            if name.endswith("href"):
                assert value.startswith("#") or value == "chip.html"
    anchors = {element.attrib["href"] for element in root.iter() if element.tag == "a"} - {"chip.html"}
    assert anchors <= {"#" + element.attrib["id"] for element in root.iter() if "id" in element.attrib}
    return root


def test_page_is_well_formed_and_asks_for_nothing(written):
    text = (written / "index.html").read_text(encoding="utf-8")
    root = assert_whole_and_alone(text)
    figures = list(root.iter("figure"))
    assert len(figures) >= 9
    assert all(figure.find("figcaption") is not None and "".join(figure.find("figcaption").itertext()).strip() for figure in figures)
    assert "Made &amp; &lt;measured&gt;" in text
    assert plots.INK not in text


def test_every_reference_in_a_plot_is_defined_in_it(written):
    text = (written / "index.html").read_text(encoding="utf-8")
    for svg in re.findall(r"<svg.*?</svg>", text, re.S):
        wanted = set(re.findall(r'xlink:href="#(\w+)"', svg)) | set(re.findall(r"url\(#(\w+)\)", svg))
        assert wanted <= set(re.findall(r'id="(\w+)"', svg))


def test_page_and_tables_are_the_same_each_time(made, written):
    material = gather(made)
    assert page(material) == (written / "index.html").read_text(encoding="utf-8")
    assert markdown(material) == (written / "RESULTS.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("systems", "absent"), [(("kws_dense", "kws_cgs"), "recognition"), (("dense", "cgs"), "keyword"), (("kws_cgs",), "worse than dense")])
def test_missing_parts_leave_their_sections_out(tmp_path, make, systems, absent):
    exp = make(tmp_path, systems)
    report.run(exp)
    text = (tmp_path / "10-report/index.html").read_text(encoding="utf-8")
    assert_whole_and_alone(text)
    assert absent not in text.split("Notes")[0].lower()


def test_report_is_up_to_date_until_an_input_changes(tmp_path, make):
    exp = make(tmp_path, ("kws_dense",))
    report.run(exp)
    assert report.units(exp)[0].why_stale() == ""
    with exp.unit("7-pack/kws_dense/seed1", {"changed": 1}, [], []).writing() as out:
        for path in (tmp_path / "7-pack/kws_dense/seed1").glob("*.*"):
            (out / path.name).write_bytes(path.read_bytes())
    assert "7-pack/kws_dense/seed1" in report.units(exp)[0].why_stale()


def test_publish_copies_beside_the_recipe(made, written, tmp_path, monkeypatch):
    monkeypatch.setattr(report, "RECIPES", tmp_path)
    with pytest.raises(DataError, match="run stage 10"):
        report.publish(made)
    (tmp_path / "made").mkdir()
    for name, target in (("whatever", "RESULTS.md"), ("made", "RESULTS.md"), ("made-large", "RESULTS.large.md")):
        root = tmp_path / "exp" / name / "10-report"
        root.mkdir(parents=True)
        (root / "RESULTS.md").write_text(name)
        report.publish(Experiment(root.parent, made.recipe))
        assert (tmp_path / "made" / target).read_text() == name
    root = tmp_path / "exp" / "made-large" / "10-sweeps" / "bits"
    root.mkdir(parents=True)
    (root / "RESULTS.md").write_text("swept")
    report.publish(Experiment(root.parents[1], made.recipe), "bits")
    assert (tmp_path / "made" / "RESULTS.large.sweep-bits.md").read_text() == "swept"
    with pytest.raises(DataError, match="run stage 10"):
        report.publish(Experiment(root.parents[1], made.recipe), "block")


def test_mask_picture_draws_runs():
    svg = plots.mask_picture(2, 6, [[0, 1, 4], [5]], "a mask")
    assert 'd="M0 0h2v1h-2zM4 0h1v1h-1zM5 1h1v1h-1z"' in svg
    ElementTree.fromstring(svg)


def test_commit_is_null_outside_a_checkout(tmp_path):
    assert provenance.commit(tmp_path) is None


def test_command_hides_folders_of_the_machine():
    told = provenance.shown_command("./run.sh --recipe a --corpus /x/y --stage 10 --stop-stage=10 --exp=/z --nj 2 --publish")
    assert told == "./run.sh --recipe a --corpus DIR --exp=DIR --nj 2"
    for swept in ("--sweep /x/some.toml", "--sweep=/x/some.toml", "--sweep some.toml"):
        assert provenance.shown_command(f"./run.sh {swept} --nj 2") == "./run.sh --sweep some.toml --nj 2"


def test_machine_has_no_host_name():
    import socket

    told = provenance.machine()
    assert told["cores"] >= 1 and told["memory_bytes"] > 1e8 and socket.gethostname() not in json.dumps(told)


def test_the_chip_page_holds_every_design_of_its_sliders(written):
    """Any design of the page against the estimate of that engine, worked out for itself."""
    text = (written / "chip.html").read_text(encoding="utf-8")
    data = json.loads(text.split("const DATA = ", 1)[1].split(";\n", 1)[0])
    assert 'href="chip.html"' in (written / "index.html").read_text(encoding="utf-8")
    assert "http" not in text.replace("http://www.w3.org/2000/svg", ""), "nothing is fetched"
    for system, nodes in data["designs"].items():
        model = read_packed(written.parent / f"7-pack/{system}/seed1/model.cgs")
        for n_macs in (1, 32):
            shown = nodes["65nm"][str(n_macs)]
            at = at_supply(count_packed(model, n_macs), load_technology("65nm"), data["supplies"][4], data["frames_per_s"], with_intervals=False)
            assert {name: shown["power"][name][4] for name in data["components"]} == pytest.approx(at["components_w"], rel=1e-3)
            assert shown["max_clock_hz"][4] == pytest.approx(at["max_clock_hz"], rel=1e-3)
            assert sum(shown["area"].values()) == pytest.approx(at["area_m2"], rel=1e-3)
        assert set(shown["area"]) <= set(data["colours"]) & set(data["names"])
    results = json.loads((written / "results.json").read_text(encoding="utf-8"))
    words = {row["system"] for row in results["rows"] if row["task"] == "asr" and row["engine"] == "packed"}
    assert {name for name, rate in data["words_per_s"].items() if rate} == words
