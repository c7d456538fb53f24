"""Units: stamps tell what is stale and why, killed work goes on, and nothing is half-written."""

from __future__ import annotations

from pathlib import Path

import pytest

from cgs.base.errors import DataError, DiskError, FormatError
from cgs.base.files import read_json, write_text, writing
from cgs.base.unit import PLAN, STAMP, Unit


def unit(root: Path, name: str = "a", inputs: tuple[str, ...] = (), **options: object) -> Unit:
    return Unit(root, name, dict(options), list(inputs), code=["cgs.data.corpus"])


def make(u: Unit, text: str = "x") -> None:
    with u.writing() as out:
        write_text(out / "f.txt", text)


def test_done_only_by_its_stamp(tmp_path: Path) -> None:
    u = unit(tmp_path, epochs=3)
    (tmp_path / "a").mkdir()
    write_text(tmp_path / "a" / "f.txt", "a file alone means nothing")
    assert u.why_stale() == "not made yet"
    make(u)
    assert u.up_to_date()


def test_names_the_option_that_changed(tmp_path: Path) -> None:
    make(unit(tmp_path, nn={"epochs": 3, "dropout": 0.1}))
    assert unit(tmp_path, nn={"epochs": 5, "dropout": 0.1}).why_stale() == "option nn.epochs 3 -> 5"


def test_changed_input_makes_exactly_later_units_stale(tmp_path: Path) -> None:
    make(unit(tmp_path, "a", x=1))
    make(unit(tmp_path, "b", x=1))
    make(unit(tmp_path, "c", inputs=("a",)))
    make(unit(tmp_path, "a", x=2))
    assert unit(tmp_path, "c", inputs=("a",)).why_stale() == "input a changed"
    assert not unit(tmp_path, "b", x=1).why_stale()


def test_missing_and_altered_files_are_noticed(tmp_path: Path) -> None:
    u = unit(tmp_path)
    make(u)
    (u.path / "f.txt").write_text("longer")
    assert u.why_stale() == "file f.txt is altered"
    (u.path / "f.txt").unlink()
    assert u.why_stale() == "file f.txt is missing"


def test_input_not_made_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"5-b: needs 3-a, not made yet \(run from --stage 3\)"):
        make(unit(tmp_path, "5-b", inputs=("3-a",)))


def test_a_long_value_that_changed_is_not_told(tmp_path: Path) -> None:
    make(unit(tmp_path, x=list(range(100))))
    assert unit(tmp_path, x=list(range(101))).why_stale() == "option x changed"


def test_altered_input_is_an_error_even_where_its_size_is_the_same(tmp_path: Path) -> None:
    make(unit(tmp_path, "3-a"), "good")
    (tmp_path / "3-a" / "f.txt").write_text("evil")
    with pytest.raises(FormatError, match=r"3-a/f\.txt: missing or altered since it was made \(remove .*3-a and run from --stage 3\)"):
        make(unit(tmp_path, "5-b", inputs=("3-a",)))
    assert not (tmp_path / "5-b").exists()


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"digest": '])
def test_damaged_stamp_and_plan_are_made_again(tmp_path: Path, damage: str) -> None:
    u = unit(tmp_path)
    make(u)
    (u.path / STAMP).write_text(damage)
    assert u.why_stale() == "stamp.json is damaged"
    u.aside.mkdir()
    (u.aside / PLAN).write_text(damage)
    make(u)
    assert u.up_to_date()


def test_failure_leaves_the_earlier_unit(tmp_path: Path) -> None:
    u = unit(tmp_path, x=1)
    make(u, "good")
    with pytest.raises(RuntimeError), unit(tmp_path, x=2).writing() as out:
        write_text(out / "f.txt", "half")
        raise RuntimeError("killed")
    assert (u.path / "f.txt").read_text() == "good"
    assert u.up_to_date()


def test_killed_work_is_handed_out_again_only_for_the_same_plan(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), unit(tmp_path, x=1).writing() as out:
        write_text(out / "checkpoint", "epoch 4")
        (out / ".f.txt.123.tmp").write_text("cut short")
        raise KeyboardInterrupt
    with unit(tmp_path, x=1).writing() as out:
        assert not (out / ".f.txt.123.tmp").exists()
        assert (out / "checkpoint").read_text() == "epoch 4"
        (out / "checkpoint").unlink()
    with pytest.raises(KeyboardInterrupt), unit(tmp_path, x=2).writing() as out:
        write_text(out / "checkpoint", "of x = 2")
        raise KeyboardInterrupt
    with unit(tmp_path, x=3).writing() as out:
        assert not (out / "checkpoint").exists()


def test_full_disk_is_one_line_and_keeps_the_earlier_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "f.json"
    write_text(path, "old")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(DiskError, match=r"f\.json: no space left \(free some space"), writing(path) as stream:
        stream.write("new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["f.json"]


def test_comments_and_docstrings_do_not_change_the_code_digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cgs.base import code

    monkeypatch.setattr(code, "ROOT", tmp_path)
    (tmp_path / "cgs").mkdir()
    module = tmp_path / "cgs" / "m.py"

    def digest(text: str) -> str:
        module.write_text(text)
        code._parsed.cache_clear()
        code.code_digest.cache_clear()
        return code.code_digest("cgs.m")

    first = digest('"""Doc."""\nx = 1\n')
    assert digest('"""Other."""\nx = 1  # why\n') == first
    assert digest('"""Doc."""\nx = 2\n') != first
    code._parsed.cache_clear()
    code.code_digest.cache_clear()


def test_stamp_lists_sizes(tmp_path: Path) -> None:
    u = unit(tmp_path)
    make(u, "four")
    assert read_json(u.path / STAMP)["files"] == {"f.txt": 4}
