"""run.sh's driver: bad options end in one line and a code; listing and dry runs make nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from cgs.cli.recipe import main
from cgs.data.audio import write_wav

NOISE = np.random.default_rng(0).normal(0, 0.1, 8000)


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
    assert capsys.readouterr().err == "error: unrecognized arguments: --no-such-option (did you mean --list-options?)\n"


def test_stale_earlier_stage_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A change whose stage is out of the range must not be passed over in silence."""
    corpus = tmp_path / "corpus"
    for number in range(20):
        write_wav(corpus / f"{'_'.join(f'{number:05b}')}.wav", NOISE, 8000)
    words = ["--recipe", "yesno", "--corpus", str(corpus), "--exp", str(tmp_path / "exp"), "--set", "local.dev_every=2", "--nj", "1"]
    assert main([*words, "--stop-stage", "2"]) == 0, capsys.readouterr().err
    capsys.readouterr()
    assert main([*words, "--set", "data.sample_rate=16000", "--stage", "2", "--stop-stage", "2"]) == 0
    assert "warning: 1-data is out of date (option data.sample_rate 8000 -> 16000)" in capsys.readouterr().out


def test_later_stage_without_earlier_ones(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--recipe", "yesno", "--exp", str(tmp_path), "--stage", "3", "--stop-stage", "3"]) == 4
    assert "needs 1-data, not made yet (run from --stage 1)" in capsys.readouterr().err


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
