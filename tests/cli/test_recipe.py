"""run.sh's driver: bad options end in one line and a code; listing and dry runs make nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgs.cli.recipe import main


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["--recipe", "fsd"], 2, "error: no recipe 'fsd' (did you mean 'fsdd'?)"),
        (["--recipe", "fsdd", "--corpus", "/nowhere"], 2, "error: --corpus /nowhere: no such directory"),
        (["--recipe", "fsdd", "--set", "nn.epochz=1"], 2, "nn.epochz: unknown option (did you mean nn.epochs?)"),
        (["--stage", "5", "--stop-stage", "3"], 2, "error: --stage 5 is after --stop-stage 3"),
        (["--nj", "0"], 2, "error: --nj 0"),
    ],
)
def test_bad_options(arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert main([*arguments, "--exp", str(tmp_path / "exp")]) == code
    assert told in capsys.readouterr().err
    assert not (tmp_path / "exp").exists()


def test_unknown_option(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["--no-such-option"])
    assert "unrecognized arguments: --no-such-option" in capsys.readouterr().err


def test_later_stage_without_earlier_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recipe", "yesno", "--exp", str(tmp_path), "--stage", "3", "--stop-stage", "3"]) == 1
    assert "needs 1-data, not made yet (run the earlier stages first)" in capsys.readouterr().err


def test_unwritable_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recipe", "yesno", "--exp", "/proc/nowhere", "--stage", "1", "--stop-stage", "1"]) != 0
    assert capsys.readouterr().err.startswith("error: /proc/nowhere")


def test_wrong_layout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "corpus").mkdir()
    code = main(["--recipe", "fsdd", "--corpus", str(tmp_path / "corpus"), "--exp", str(tmp_path / "exp"), "--stop-stage", "0"])
    assert code == 3
    assert str(tmp_path / "corpus") in capsys.readouterr().err
    assert not (tmp_path / "exp" / "0-corpus").exists()


def test_list_and_options(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0 and main(["--list-options"]) == 0
    out = capsys.readouterr().out
    assert "mini_rm" in out and "nn.epochs" in out


def test_dry_run_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recipe", "mini_rm", "--exp", str(tmp_path / "exp"), "--dry-run"]) == 0
    assert "0-corpus: would be made (not made yet)" in capsys.readouterr().out
    assert not (tmp_path / "exp").exists()
