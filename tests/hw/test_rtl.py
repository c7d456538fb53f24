"""The engine in RTL against the integer engine, bit for bit, and against the counts, cycle for cycle and access for access."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from cgs.base.errors import CgsError, ConfigError, ShapeError, ToolError
from cgs.cli.main import main
from cgs.hw.design import Design, count_model, design_engine, images, weight_groups
from cgs.hw.frames import made_frames
from cgs.hw.generate import write_images, write_rtl
from cgs.hw.simulate import simulate
from cgs.quant.model import PackedModel
from cgs.quant.packed import write_packed


def corners(made: ModuleType) -> list[PackedModel]:
    """Models at the ends of what can be: see the comments."""
    random = np.random.default_rng(5)
    one_layer = PackedModel((made.random_layer(random, 5, 3, bits=8, relu=False, input_signed=True),), {})
    one_value = made.random_model(1, (1, 1, 1), block=4, n_kept=1, bits=2)
    one_column = made.random_model(2, (4, 9, 9, 3), block=16, n_kept=1)  # a block larger than the matrix: no index is read
    saturated = made.random_model(3, (40, 30, 20, 5), block=8, n_kept=3, bits=8)  # large sums, few fraction bits are cut
    saturated = replace(saturated, layers=tuple(replace(layer, bias=layer.bias * 300) for layer in saturated.layers))
    nothing = made.random_model(4)  # every weight zero: biases alone
    nothing = replace(nothing, layers=tuple(replace(layer, weights=layer.weights * 0) for layer in nothing.layers))
    return [one_layer, one_value, one_column, saturated, nothing]


def models_of(made: ModuleType) -> list[PackedModel]:
    """Sparse in square, odd and rectangular blocks, dense, of narrow and of wide weights, of factors, and the corners."""
    return [
        made.random_model(0, (13, 10, 9, 5), block=4, n_kept=2),
        made.random_model(1, (20, 17, 16, 12), block=5, n_kept=3, bits=3),
        made.random_model(2, (11, 14, 7), block=3, n_kept=2, bits=8, block_in=5),
        made.random_model(3, (16, 9, 8, 4), block=0, bits=2),
        made.random_lowrank(4),
        *corners(made),
    ]


def test_results_cycles_and_accesses_are_those_of_the_integer_engine_and_the_counts(engine: tuple[Design, Path], made: ModuleType):
    design, directory = engine
    for number, model in enumerate(models_of(made)):
        here = directory / f"images{number}"
        write_images(model, design, made_frames(model, 40, seed=number) * 4, here)
        done = simulate(directory, here)
        assert (done.frames, done.results) == (40, model.n_out)
        assert done.cycles == count_model(model, design.engine).cycles


def test_the_bench_finds_a_wrong_result_a_wrong_count_and_a_missing_frame(made: ModuleType, tmp_path: Path, verilator: str):
    model = made.random_model(0)
    design = design_engine([model], n_macs=2)
    write_rtl(design, tmp_path)
    here = tmp_path / "images"

    def altered(name: str, change) -> str:
        write_images(model, design, made_frames(model, 6), here)
        text = (here / name).read_text().split("\n")
        (here / name).write_text("\n".join(change(text)))
        with pytest.raises(CgsError) as caught:
            simulate(tmp_path, here)
        return str(caught.value)

    flipped = altered("results.hex", lambda lines: [*lines[:7], f"{int(lines[7], 16) ^ 1:x}", *lines[8:]])
    assert "frame 1, result 2: output 2 is" in flipped
    assert "frame 0, count 0" in altered("expected.txt", lambda lines: [" ".join("1" if i == 3 else word for i, word in enumerate(lines[0].split()))])
    assert "too short" in altered("inputs.hex", lambda lines: lines[:-3])
    assert "does not do" in altered("weights.hex", lambda lines: [f"{int(lines[0], 16) ^ 2:x}", *lines[1:]])


def test_weights_lie_as_they_are_used(made: ModuleType):
    """The layout against a loop over every product of the matrix."""
    layer = made.random_model(2, (11, 14, 7), block=3, n_kept=2, bits=8, block_in=5).layers[0]
    expected = []
    for row in range(layer.n_block_rows):
        outputs = [o for o in range(row * 3, row * 3 + 3) if o < 14]
        for start in range(0, len(outputs), 2):
            for k, column in enumerate(layer.kept[row]):
                for i in range(column * 5, min(column * 5 + 5, 11)):
                    lanes = [layer.weights[row, k, o - row * 3, i - column * 5] for o in outputs[start : start + 2]]
                    expected.append(lanes + [0] * (2 - len(lanes)))
    assert weight_groups(layer, 2).tolist() == expected


def test_no_dropped_block_is_stored(made: ModuleType):
    model = made.random_model(0, (64, 64, 64, 8), block=8, n_kept=1, bits=6)
    design = design_engine([model], n_macs=8)
    words = images(model, design)
    assert len(words["weights"]) == (64 * 8 + 64 * 8 + 64 * 8) // 8, "an eighth of two matrices, and the dense output layer"
    assert len(words["index"]) == 16
    assert design.word_bits["weights"] == 48


def test_engines_that_cannot_be_are_errors(made: ModuleType):
    with pytest.raises(ConfigError, match="engine of 0 MACs"):
        design_engine([made.random_model(0)], n_macs=0)
    with pytest.raises(ConfigError, match="several frames"):
        design_engine([made.random_tdnn(0)])
    with pytest.raises(ShapeError, match="no frames"):
        write_images(made.random_model(0), design_engine([made.random_model(0)]), np.zeros((0, 13), np.float32), Path("nowhere"))


def test_the_command_writes_a_directory_that_make_alone_runs(made: ModuleType, tmp_path: Path, verilator: str, capsys: pytest.CaptureFixture[str]):
    write_packed(tmp_path / "model.cgs", made.random_model(0))
    arguments = ["hw", "rtl", str(tmp_path / "model.cgs"), "--out", str(tmp_path / "rtl"), "--n-frames", "5", "--n-macs", "4"]
    assert main([*arguments, "--simulate"]) == 0
    told = capsys.readouterr().out
    assert "4 MACs, 6-bit weights" in told and "5 frames bit for bit" in told
    assert os.waitstatus_to_exitcode(os.system(f"make -s -C {tmp_path}/rtl run lint > /dev/null")) == 0
    assert main(arguments) == 2
    assert "is there already" in capsys.readouterr().err


def test_bad_choices_are_one_line(made: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    write_packed(tmp_path / "model.cgs", made.random_model(0))
    base = ["hw", "rtl", str(tmp_path / "model.cgs"), "--out", str(tmp_path / "rtl")]
    for more, code, told in (
        (["--n-frames", "0"], 2, "nothing to simulate"),
        (["--n-macs", "1000"], 2, "MACs: 1 to 256"),
        (["--recording", "a.wav"], 2, "a folder that cgs export wrote"),
    ):
        assert main([*base, *more]) == code
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1
        assert not (tmp_path / "rtl").exists()
    (tmp_path / "model.cgs").write_bytes((tmp_path / "model.cgs").read_bytes()[:-9])
    assert main(base) == 6
    assert "truncated" in capsys.readouterr().err
    monkeypatch.setenv("PATH", "/nonexistent")
    with pytest.raises(ToolError, match="verilator: not found"):
        simulate(tmp_path, tmp_path)
