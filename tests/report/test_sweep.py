"""A sweep's report: the front against brute force, rows that repeat what the stages wrote, tables and plots that hold them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cgs.base.experiment import Experiment
from cgs.base.sweep import read_sweep
from cgs.report.comparison import compare, utterances_path
from cgs.report.rows import collect_rows
from cgs.report.sweep import gather, in_short, pareto_front
from cgs.report.sweep_page import markdown, page

TEXT = """
title = "Made & <swept>"
[[points]]
base = "cgs"
block = [4, 8]
[[points]]
base = "kws_cgs"
density = [0.25, 0.99]
"""


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=12))
def test_front_is_what_no_other_pair_beats(pairs: list[tuple[int, int]]) -> None:
    def beaten(pair: tuple[int, int]) -> bool:
        return any(other != pair and other[0] <= pair[0] and other[1] <= pair[1] for other in pairs)

    front = pareto_front(pairs)
    assert sorted(front) == [index for index, pair in enumerate(pairs) if not beaten(pair)]
    assert [pairs[index] for index in front] == sorted(pairs[index] for index in front)


@pytest.fixture(scope="module")
def results(made: Experiment, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The made experiment as a sweep in which one point is not possible and another has failed."""
    path = tmp_path_factory.mktemp("sweeps") / "some.toml"
    path.write_text(TEXT)
    sweep = read_sweep(str(path), made.recipe, path.parent)
    assert [point.name for point in sweep.points] == ["cgs", "cgs-block8", "kws_cgs", "kws_cgs-density0.99"]
    finished = frozenset({("dense", 1), ("dense", 2), ("cgs", 1), ("cgs", 2), ("kws_dense", 1), ("kws_cgs", 1)})
    exp = replace(made, recipe=sweep.recipe(made.recipe), chosen=finished)
    return gather(exp, sweep, {"kws_cgs-density0.99": "too full"}, {("cgs-block8", 2): "diverged | at once"})


def test_a_row_a_point_that_repeats_the_recipes_own(made: Experiment, results: dict[str, Any]) -> None:
    status = {(row["system"], row["seed"]): (row["status"], row["reason"]) for row in results["rows"]}
    done = {("cgs", 1): ("done", ""), ("cgs", 2): ("done", ""), ("kws_cgs", 1): ("done", "")}
    lacking = {("cgs-block8", 1): ("not made", ""), ("cgs-block8", 2): ("failed", "diverged | at once")}
    assert status == done | lacking | {("kws_cgs-density0.99", 1): ("not possible", "too full")}
    rows = collect_rows(made)
    compared = [c for c in compare(made, rows) if (c["engine"], c["condition"]) == ("packed", "test") and c["measure"] in ("wer", "auc")]
    of_sentences = {c["seed"]: c for c in compare(made, rows) if (c["system"], c["engine"], c["condition"], c["measure"]) == ("cgs", "packed", "test", "ser")}
    for row in results["rows"][:2]:
        plain = {r["engine"]: r for r in rows if (r["system"], r["seed"], r["condition"]) == ("cgs", row["seed"], "test")}
        packed = plain["packed"]
        assert (row["value"], row["interval"], row["float_value"]) == (packed["wer"], packed["wer_ci"], plain["float"]["wer"])
        assert (row["file_bytes"], row["power_w"]) == (packed["file_bytes"], packed["hardware"]["40nm"]["power_w"])
        assert row["fraction_of_float32"] == pytest.approx(1 - packed["reduction_vs_float32"]) and row["options"]["block"] == 4
        expected = next(c for c in compared if (c["system"], c["seed"]) == ("cgs", row["seed"]))
        assert row["difference"] == {key: expected[key] for key in ("baseline", "difference", "interval", "verdict")}
        assert row["ser"] == packed["ser"] and row["ser_difference"]["interval"] == of_sentences[row["seed"]]["interval"]
        n_dense = next(r["n_weights_kept"] for r in rows if r["system"] == "dense")
        assert row["kept"] == packed["n_weights_kept"] / n_dense
    pooled = next(c for c in compared if (c["system"], c["seed"]) == ("cgs", "all"))
    entry = next(e for e in results["summary"] if e["system"] == "cgs")
    assert results["rows"][0]["file_bytes"] < results["rows"][1]["file_bytes"]
    for key in ("file_bytes", "power_w", "fraction_of_float32", "kept", "ser"):
        assert entry[key] == pytest.approx((results["rows"][0][key] + results["rows"][1][key]) / 2), "a mean over seeds"
    assert entry["ser_difference"]["interval"] == of_sentences["all"]["interval"]
    assert entry["n_seeds"] == 2 and entry["difference"]["interval"] == pooled["interval"] and entry["on_front"] == {"file_bytes": True, "power_w": True}
    assert results["baselines"]["kws"]["system"] == "kws_dense" and json.loads(json.dumps(results)) == results


def test_tables_and_page_hold_the_numbers(results: dict[str, Any]) -> None:
    text, html = markdown(results), page(results)
    for row in results["rows"]:
        value = row.get("value")
        assert value is None or (f"{100 * value:.2f} [" in text if row["measure"] == "wer" else f"{value:.4f} [" in text)
    assert "| cgs-block8 | 2 | failed | diverged \\| at once |" in text and "| kws_cgs-density0.99 | 1 | not possible | too full |" in text
    assert "Made & \\<swept\\>" in text and "Made &amp; &lt;swept&gt;" in html and html.count("<svg") == 4
    assert "1 - AUC, %" in html and "packed file, kB" in html and "http://" not in html.replace("http://www.w3.org", "")
    assert re.fullmatch(r"WER \d+\.\d\d %, \d+ B, [\d.]+ nW", in_short(results["rows"][0]))


def test_others_are_compared_with_the_headline(made: Experiment, tmp_path: Path) -> None:
    (tmp_path / "some.toml").write_text('[[points]]\nbase = "dense"\nheadline = true\n[[points]]\nbase = "cgs"\n[[points]]\nbase = "kws_cgs"\n')
    sweep = read_sweep(str(tmp_path / "some.toml"), made.recipe, tmp_path)
    finished = frozenset({("dense", 1), ("dense", 2), ("cgs", 1), ("cgs", 2), ("kws_dense", 1), ("kws_cgs", 1)})
    told = gather(replace(made, recipe=sweep.recipe(made.recipe), chosen=finished), sweep, {}, {})
    by_system = {entry["system"]: entry["against_headline"] for entry in told["summary"]}
    packed = {
        system: [sum(line["substitutions"] + line["insertions"] + line["deletions"] for line in utterances(made, system, seed)) for seed in (1, 2)]
        for system in ("dense", "cgs")
    }
    n_words = sum(line["n_words"] for line in utterances(made, "cgs", 1))
    assert by_system["dense"] is None and by_system["kws_cgs"] is None and by_system["cgs"]["baseline"] == "dense"
    assert by_system["cgs"]["difference"] == pytest.approx((sum(packed["cgs"]) - sum(packed["dense"])) / (2 * n_words))
    text = markdown(told)
    assert "against the headline" in text and "The headline: dense;" in text and text.count("against the headline") == 1


def utterances(made: Experiment, system: str, seed: int) -> list[dict[str, Any]]:
    return [json.loads(line) for line in utterances_path(made.root, system, "packed", seed, "test").read_text().splitlines()]


def test_a_width_that_points_leave_out_is_a_zero_in_tables(made: Experiment, tmp_path: Path) -> None:
    (tmp_path / "some.toml").write_text('[[points]]\nbase = "cgs"\nblock_in = [0, 8]\n')
    sweep = read_sweep(str(tmp_path / "some.toml"), made.recipe, tmp_path)
    exp = replace(made, recipe=sweep.recipe(made.recipe), chosen=frozenset({("dense", 1), ("dense", 2), ("cgs", 1), ("cgs", 2)}))
    told = gather(exp, sweep, {}, {})
    assert [row["options"]["block_in"] for row in told["rows"]] == [0, 0, 8, 8] and [row["status"] for row in told["rows"]] == ["done"] * 2 + ["not made"] * 2
    assert "| system | block_in |" in markdown(told) and "| cgs | 0 |" in markdown(told)


def test_a_system_without_hardware_has_no_power(results: dict[str, Any]) -> None:
    assert in_short(results["rows"][0] | {"power_w": None}).endswith("B")


def test_report_is_written_from_finished_points_alone(tmp_path: Path, make: Any) -> None:
    """Nothing is finished where stamps are those of other options: the rows say so, and there is a page all the same."""
    from cgs.stages import sweep as stage

    exp = make(tmp_path / "exp", ("dense", "cgs"))
    (tmp_path / "some.toml").write_text('[[points]]\nbase = "cgs"\n')
    stage.run(exp, read_sweep(str(tmp_path / "some.toml"), exp.recipe, tmp_path), 10, 10)
    told = json.loads((tmp_path / "exp" / "10-sweeps" / "some" / "results.json").read_text())
    assert [row["status"] for row in told["rows"]] == ["not made", "not made"] and told["summary"] == []
    assert "not made" in (tmp_path / "exp" / "10-sweeps" / "some" / "RESULTS.md").read_text()
