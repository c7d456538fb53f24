"""Archives: what is written is read back, by us and by kaldiio; damage is told by name."""

from __future__ import annotations

from pathlib import Path

import kaldiio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from cgs.base.errors import DataError, FormatError
from cgs.feats.archive import archive_keys, merge_archives, read_archive, write_archive

MATRIX = np.arange(12, dtype=np.float32).reshape(4, 3)
VECTOR = np.array([5, 0, -7, 2**31 - 1], dtype=np.int32)


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    write_archive(tmp_path, "a", [("first", MATRIX), ("second", VECTOR), ("wide", MATRIX.astype(np.float64)), ("naïve", MATRIX + 1)])
    return tmp_path / "a.scp"


def test_reads_what_was_written(archive: Path) -> None:
    arrays = read_archive(archive)
    assert list(arrays) == archive_keys(archive) == ["first", "second", "wide", "naïve"]
    np.testing.assert_array_equal(arrays["first"], MATRIX)
    np.testing.assert_array_equal(arrays["second"], VECTOR)
    assert [arrays[key].dtype for key in arrays] == [np.float32, np.int32, np.float64, np.float32]


def test_kaldiio_reads_ours(archive: Path) -> None:
    for key, array in kaldiio.load_scp(str(archive)).items():
        np.testing.assert_array_equal(array, read_archive(archive)[key])


def test_reads_what_kaldiio_writes(tmp_path: Path) -> None:
    kaldiio.save_ark(str(tmp_path / "k.ark"), {"u": MATRIX, "v": VECTOR}, scp=str(tmp_path / "k.scp"))
    arrays = read_archive(tmp_path / "k.scp")
    np.testing.assert_array_equal(arrays["u"], MATRIX)
    np.testing.assert_array_equal(arrays["v"], VECTOR)


@settings(max_examples=25, deadline=None)
@given(hnp.arrays(np.int32, st.integers(0, 40)), hnp.arrays(np.float32, hnp.array_shapes(min_dims=2, max_dims=2), elements=st.floats(-1e6, 1e6, width=32)))
def test_any_array_survives(tmp_path_factory: pytest.TempPathFactory, vector: np.ndarray, matrix: np.ndarray) -> None:
    folder = tmp_path_factory.mktemp("any")
    write_archive(folder, "a", [("v", vector), ("m", matrix)])
    arrays = read_archive(folder / "a.scp")
    np.testing.assert_array_equal(arrays["v"], vector)
    np.testing.assert_array_equal(arrays["m"], matrix)


def test_scp_names_the_final_place_but_a_neighbour_is_read_first(tmp_path: Path) -> None:
    write_archive(tmp_path, "a", [("u", MATRIX)], Path("elsewhere/3-feats"))
    assert (tmp_path / "a.scp").read_text() == "u elsewhere/3-feats/a.ark:2\n"
    np.testing.assert_array_equal(read_archive(tmp_path / "a.scp")["u"], MATRIX)


def test_pieces_join_to_the_bytes_of_one_archive(tmp_path: Path) -> None:
    items = [("a", MATRIX), ("b", VECTOR), ("c", MATRIX * 2)]
    write_archive(tmp_path / "whole", "x", items, tmp_path)
    for number, item in enumerate(items):
        write_archive(tmp_path / "pieces", f"p{number}", [item])
    assert merge_archives([tmp_path / "pieces" / f"p{number}.scp" for number in range(3)], tmp_path / "joined", "x", tmp_path) == 3
    for suffix in ("ark", "scp"):
        assert (tmp_path / "joined" / f"x.{suffix}").read_bytes() == (tmp_path / "whole" / f"x.{suffix}").read_bytes()


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_nan_names_archive_and_utterance(tmp_path: Path, value: float) -> None:
    bad = MATRIX.copy()
    bad[2, 1] = value
    kaldiio.save_ark(str(tmp_path / "k.ark"), {"fine": MATRIX, "spk-utt7": bad}, scp=str(tmp_path / "k.scp"))
    with pytest.raises(FormatError, match=r"k\.ark: spk-utt7: holds NaN or infinity"):
        read_archive(tmp_path / "k.scp")
    with pytest.raises(FormatError, match="spk-utt7: NaN or infinity would be written"):
        write_archive(tmp_path, "a", [("spk-utt7", bad)])


@pytest.mark.parametrize("array", [MATRIX, VECTOR])
def test_every_truncation_is_an_error(tmp_path: Path, array: np.ndarray) -> None:
    write_archive(tmp_path, "a", [("u1", array)])
    whole = (tmp_path / "a.ark").read_bytes()
    for size in range(len(whole)):
        (tmp_path / "a.ark").write_bytes(whole[:size])
        with pytest.raises(FormatError, match=r"a\.ark: u1: truncated or altered"):
            read_archive(tmp_path / "a.scp")


def test_altered_index_missing_ark_and_pickles(archive: Path) -> None:
    lines = archive.read_text().splitlines()
    archive.write_text(lines[0].replace(":6", ":7") + "\n")
    with pytest.raises(FormatError, match="first: truncated or altered archive"):
        read_archive(archive)
    archive.write_text("u\n")
    with pytest.raises(FormatError, match=r"a\.scp:1: not 'key ark:offset' but 'u'"):
        read_archive(archive)
    archive.write_text("u gone.ark:2\n")
    with pytest.raises(FormatError, match=r"its archive gone\.ark is missing"):
        read_archive(archive)
    archive.with_name("p.ark").write_bytes(b"u PKL\x80\x04N.")
    archive.write_text("u p.ark:2\n")
    with pytest.raises(FormatError, match="not a binary Kaldi matrix"):
        read_archive(archive)


def test_key_with_blank_and_other_arrays_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="key 'a b' is empty or holds blanks"):
        write_archive(tmp_path, "a", [("a b", MATRIX)])
    with pytest.raises(FormatError, match="int64"):
        write_archive(tmp_path, "a", [("a", np.zeros(3, dtype=np.int64))])
    assert not (tmp_path / "a.ark").exists()
