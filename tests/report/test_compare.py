"""cgs compare: the numbers of the report for any two systems, and one line where there are none."""

from __future__ import annotations

import pytest

from cgs.base.experiment import Experiment
from cgs.cli.main import main
from cgs.report.comparison import compare, sentence
from cgs.report.rows import collect_rows


def test_it_prints_what_the_report_says(made: Experiment, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["compare", str(made.root), "cgs", "dense/float", "--bootstrap", "50", "--seed", str(made.recipe.recipe.seed)]) == 0
    told = capsys.readouterr().out.splitlines()
    of_report = {
        c["measure"]: c for c in compare(made, collect_rows(made)) if (c["system"], c["engine"], c["condition"], c["seed"]) == ("cgs", "packed", "test", "all")
    }
    assert told == [f"{m.upper()} of cgs/packed against dense/float, test, seeds 1, 2: {sentence(of_report[m])}" for m in ("wer", "ser")]
    assert main(["compare", str(made.root), "kws_cgs/float", "kws_dense", "--condition", "test_isolated"]) == 0
    assert capsys.readouterr().out.startswith("AUC of kws_cgs/float against kws_dense/packed, test_isolated, seed 1: ")
    assert main(["compare", str(made.root), "cgs", "cgs"]) == 0
    assert capsys.readouterr().out.count("not distinguishable (+0.00 [+0.00, +0.00])") == 2


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["csg", "dense"], "nothing of csg, packed, condition test (did you mean 'cgs'?)"),
        (["cgs", "dense/flaot"], "nothing of dense, flaot, condition test (decoded: cgs, dense, kws_cgs, kws_dense)"),
        (["cgs", "kws_dense"], "one spots keywords, the other one words"),
    ],
)
def test_what_cannot_be_compared_is_told_in_a_line(made: Experiment, capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert main(["compare", str(made.root), *arguments]) != 0
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1


def test_a_confidence_is_a_share_and_resamplings_are_at_least_one(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main(["compare", "exp/x", "a", "b", "--confidence", "95"])
    assert "give a number between 0 and 1" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["compare", "exp/x", "a", "b", "--bootstrap", "0"])
    assert "'0' is no whole number from 1" in capsys.readouterr().err
