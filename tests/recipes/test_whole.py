"""Whole recipes on a corpus made in seconds: stages 0 to 10, kill and resume in each, the same numbers from the same seed."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cgs.base.errors import DiskError
from cgs.base.experiment import STAGE_DIRS
from cgs.base.unit import STAMP
from cgs.data.datadir import read_data_dir
from cgs.decode.realign import Realigner
from cgs.feats.archive import read_archive
from cgs.feats.load import load_features
from cgs.gmm.adapted import read_adapted
from cgs.gmm.model import AcousticGmm

ROOT = Path(__file__).resolve().parents[2]
TINY = {
    "local.train_utterances": 120, "local.dev_utterances": 10, "local.test_utterances": 30,
    "local.train_snr_db": [25.0, 30.0], "local.dev_snr_db": [25.0, 30.0], "local.test_snr_db": [25.0, 30.0], "local.reverberant_fraction": 0.0,
    "local.train_noises": 3, "local.dev_noises": 2, "local.test_noises": 2,
    "local.train_speakers": 6, "local.dev_speakers": 2, "local.test_speakers": 4, "local.lm_sentences": 200,
    "align.mono_iterations": 12, "align.mono_gaussians": 150, "align.tri_iterations": 6, "align.n_leaves": 140, "align.tri_gaussians": 300,
    "align.max_failed_fraction": 0.3, "align.model": "sat", "nn.features": "fmllr", "feats.speeds": [0.9],
    "nn.mel_warp": 0.0, "nn.frequency_masks": 0, "lang.vocabularies": ["train", "subword"], "lang.subword_pieces": 60, "decode.spelling_costs": [0.0, 3.0],
    "nn.epochs": 12, "nn.minibatch": 128, "nn.learning_rate": 2e-3, "nn.dropout": 0.0, "kws.epochs": 5, "kws.minibatch": 128, "kws.dropout": 0.0,
    "pack.epochs": 1, "decode.beam": 9.0, "decode.acoustic_scales": [0.1, 0.2], "decode.insertion_penalties": [0.0], "decode.rate_exponent": 1.0,
    "decode.ladder": True,
    "report.bootstrap": 100, "hardware.supply_v": [0.6, 0.9], "hardware.simulate_frames": 300 if shutil.which("verilator") else 0,
    "systems.dense.hidden": [128, 128], "systems.cgs.hidden": [128, 128], "systems.cgs.block": 16,
    "systems.kws_dense.hidden": [96], "systems.kws_cgs.hidden": [96], "systems.kws_cgs.block": 16,
}
NOT_RESULTS = ("seconds", "rtf", "peak_rss", "command", "commit", "machine", "made", "n_jobs")
"""What may differ between two runs of the same thing: times, memory, and how they were asked for."""


def command(exp: Path, *more: str) -> list[str]:
    changes = [word for key, value in TINY.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    return [sys.executable, "-m", "cgs.cli.recipe", "--recipe", "mini_rm", "--exp", str(exp), "--nj", "2", *changes, *more]


def run(exp: Path, *more: str) -> str:
    done = subprocess.run(command(exp, *more), cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


def without_times(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_times(part) for key, part in value.items() if not any(word in key for word in NOT_RESULTS)}
    return [without_times(part) for part in value] if isinstance(value, list) else value


def content(path: Path) -> Any:
    """What a file holds that must not depend on when or how often it was made."""
    if path.suffix == ".json":
        return without_times(json.loads(path.read_text()))
    if path.suffix == ".jsonl":
        return [without_times(json.loads(line)) for line in path.read_text().splitlines()]
    return path.read_bytes()


def results(exp: Path, stage_dir: str) -> dict[str, Any]:
    """Every file of a stage but the stamps' and the pages' own times."""
    files = sorted(p for p in (exp / stage_dir).rglob("*") if p.is_file() and p.name != STAMP and p.suffix not in (".html", ".md"))
    return {str(p.relative_to(exp)): content(p) for p in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    exp = tmp_path_factory.mktemp("tiny") / "exp"
    run(exp)
    yield exp
    shutil.rmtree(exp)


def test_results_follow_the_schema(whole: Path) -> None:
    told = json.loads((whole / "10-report" / "results.json").read_text())
    assert told.keys() >= {"recipe", "commit", "config_digest", "data_digest", "machine", "rows"}
    assert {(row["system"], row["bits"]) for row in told["rows"]} >= {("dense", 32), ("dense", 6), ("cgs", 32), ("cgs", 6), ("kws_dense", 5), ("kws_cgs", 5)}
    keys = {
        "system", "task", "method", "density", "block", "bits", "seed", "n_weights_kept", "weights_bytes", "file_bytes", "reduction_vs_float32",
        "reduction_vs_float64", "wer", "wer_ci", "ser", "ser_ci", "auc", "auc_ci", "rtf", "train_seconds", "hardware",
    }
    for row in told["rows"]:
        assert row.keys() >= keys, row["system"]
    packed = [row for row in told["rows"] if row["bits"] in (5, 6) and row["method"] != "gmm"]
    for row in packed:
        assert row["hardware"].keys() == {"40nm", "65nm"}
        assert row["hardware"]["40nm"].keys() >= {"supply_v", "clock_hz", "power_w", "power_interval_w", "energy_per_frame_j", "area_m2"}


@pytest.mark.skipif(not shutil.which("verilator"), reason="verilator is not installed: ./run.sh --setup-hardware")
def test_the_rtl_computes_frames_of_the_test_split(whole: Path) -> None:
    for system in ("dense", "cgs", "kws_dense", "kws_cgs"):
        folder = whole / "9-hardware" / system / "seed1"
        simulated = json.loads((folder / "simulation.json").read_text())
        assert simulated["simulated"] and simulated["frames"] == 300
        assert simulated["cycles"] == json.loads((folder / "hardware.json").read_text())["counts"]["cycles"]


def test_every_step_below_the_aligning_model_is_a_row(whole: Path) -> None:
    told = json.loads((whole / "10-report" / "results.json").read_text())
    assert [entry["step"] for entry in told["ladder"]] == ["mono", "tri", "lda_mllt"]
    gmm = next(row["wer"] for row in told["rows"] if row["system"] == "gmm" and row["condition"] == "test")
    assert gmm <= min(entry["wer"] for entry in told["ladder"]) < 0.4, "four unknown voices: adaptation helps"
    assert "## Step by step" in (whole / "10-report" / "RESULTS.md").read_text()


def test_there_is_a_job_for_each_speaker_to_adapt_to_and_no_more(whole: Path) -> None:
    logs = sorted(path.name for path in (whole / "log" / STAGE_DIRS[8]).glob("adapt-*.log"))
    assert logs == [*(f"adapt-dev.{part}.log" for part in range(2)), *(f"adapt-test.{part}.log" for part in range(4))]
    for split, n_speakers in (("dev", 2), ("test", 4)):
        assert len(read_archive(whole / STAGE_DIRS[8] / "adapt" / f"fmllr_{split}.scp")) == n_speakers


def test_networks_learn_and_packing_keeps_what_they_learnt(whole: Path) -> None:
    """Clean, few voices, 120 sentences: every model recognises most words, and fixed point costs little."""
    rows = json.loads((whole / "10-report" / "results.json").read_text())["rows"]
    wer = {(row["method"], row["bits"]): row["wer"] for row in rows if row["task"] == "asr"}
    assert max(wer.values()) < 0.4
    assert wer["dense", 6] < wer["dense", 32] + 0.05 and wer["cgs", 6] < wer["cgs", 32] + 0.05


def test_alignment_by_scores_is_that_of_the_gmm_where_the_scores_are_the_gmms(whole: Path) -> None:
    """The binding's aligner of stage 4 is the reference of the one that networks align with."""
    feats, align = whole / "3-feats", whole / "4-align"
    realigner, model = Realigner(whole / "2-lang", align, 10.0, 40.0), AcousticGmm.load(align)
    adapted, expected = read_adapted(align, feats, align, "train", False), read_archive(align / "pdf_train.scp")
    transcripts = read_data_dir(whole / "1-data" / "train")
    same = []
    for name, cepstra in list(load_features(feats, "mfcc", "train", "speaker").items())[:20]:
        found = realigner.align(name, transcripts[name].words, model.log_likelihoods(adapted(name, cepstra)))
        assert found is not None and len(found.pdfs) == len(cepstra)
        same.append(found.pdfs == expected[name])
    assert np.mean(np.concatenate(same)) > 0.99
    assert realigner.align("short", transcripts[name].words, np.zeros((2, model.n_pdfs), dtype=np.float32)) is None


def test_networks_of_sequences_come_beside_the_others(whole: Path, tmp_path: Path) -> None:
    """Added to a finished experiment, they alone are trained; both are packed, decoded and have hardware, the LSTM has RTL.

    The time-delay network learns from an alignment by the dense one, the LSTM from the GMM's."""
    exp = tmp_path / "exp"
    shutil.copytree(whole, exp)
    shape = {"task": "asr", "method": "cgs", "density": 0.25, "block": 16, "dense_output": True}
    tdnn = {"model": "tdnn", "hidden": [96, 96], "offsets": [[-2, -1, 0, 1, 2], [-3, 0, 3]], "labels": "dense"}
    kinds = {"tdnn": tdnn, "lstm": {"model": "lstm", "hidden": [64], "bits": [5, 6]}}
    changes = {f"systems.{name}.{key}": value for name, kind in kinds.items() for key, value in (shape | kind).items()}
    words = [word for key, value in changes.items() for word in ("--set", f"{key}={json.dumps(value)}")]
    told = run(exp, "--set", "nn.minibatch_chunks=4", *words)
    assert "5-acoustic/dense/seed1: up to date" in told, "other networks do not depend on the options of these"
    ours, theirs = (read_archive(exp / folder / "pdf_train.scp") for folder in ("5-acoustic/dense/alignment", "4-align"))
    assert ours.keys() == theirs.keys()
    assert 0.5 < np.mean(np.concatenate([ours[name] == theirs[name] for name in ours])) < 1
    assert (exp / "5-acoustic" / "dense" / "alignment" / "pdf_train_sp.scp").exists()
    rows = json.loads((exp / "10-report" / "results.json").read_text())["rows"]
    found = {(row["system"], row["engine"]): row for row in rows if row["system"] in kinds and row["condition"] == "test"}
    assert found.keys() == {(name, engine) for name in kinds for engine in ("float", "packed")}
    assert max(row["wer"] for row in found.values()) < 0.6
    assert all(found[name, "packed"]["hardware"]["40nm"]["power_w"] > 0 for name in kinds)
    assert found["lstm", "packed"]["bits"] < 6 and found["lstm", "packed"]["reduction_vs_float32"] > 0.9
    assert json.loads((exp / "7-pack" / "lstm" / "seed1" / "pack.json").read_text())["engine_difference"] == 0
    if TINY["hardware.simulate_frames"]:
        assert json.loads((exp / "9-hardware" / "tdnn" / "seed1" / "simulation.json").read_text()) == {"simulated": False}, "it has no RTL"
        assert json.loads((exp / "9-hardware" / "lstm" / "seed1" / "simulation.json").read_text())["frames"] > 300, "and frames to warm up"
    assert "lstm" in (exp / "10-report" / "index.html").read_text()


def test_full_disk_ends_in_one_line_and_keeps_earlier_results(whole: Path) -> None:
    """A limit on the size of files stands for a full disk: the stage's archives do not fit."""
    before = (whole / "3-feats" / STAMP).read_bytes()
    words = command(whole, "--set", "feats.n_mels=30", "--stage", "3", "--stop-stage", "3")
    limited = ["bash", "-c", f"ulimit -f 16; exec {shlex.join(words)}"]
    done = subprocess.run(limited, cwd=ROOT, capture_output=True, text=True, check=False)
    told = done.stderr.strip().splitlines()
    assert done.returncode == DiskError.exit_code, done.stderr
    assert len(told) == 1 and told[0].startswith("error: ") and "free some space" in told[0]
    assert (whole / "3-feats" / STAMP).read_bytes() == before
    shutil.rmtree(whole / ".3-feats.partial", ignore_errors=True)


def test_report_is_one_self_contained_page(whole: Path) -> None:
    page = (whole / "10-report" / "index.html").read_text()
    assert "<svg" in page and "src=\"http" not in page
    assert "cgs" in (whole / "10-report" / "RESULTS.md").read_text()


def test_second_run_makes_nothing_and_says_so(whole: Path) -> None:
    told = run(whole)
    assert "to do" not in told
    assert told.count("up to date") >= len(STAGE_DIRS)


def test_changed_option_makes_exactly_the_later_stages_stale(whole: Path) -> None:
    told = run(whole, "--set", "hardware.n_macs=4", "--dry-run")
    assert "option hardware.n_macs 8 -> 4" in told
    stale = {line.split("/")[0].split(":")[0].strip() for line in told.splitlines() if "would be made" in line}
    assert stale == {"9-hardware", "10-report"}


@pytest.mark.slow
def test_same_seed_gives_the_same_numbers_with_any_number_of_jobs(whole: Path, tmp_path: Path) -> None:
    """A second experiment, one job at a time, compared where no path of the experiment is part of the content.

    Stage by stage, what is killed and resumed below shows the same."""
    run(tmp_path / "exp", "--nj", "1")
    for stage in ("2-lang", "5-acoustic", "6-keyword", "7-pack", "8-decode", "9-hardware"):
        one, other = ({name: held for name, held in results(exp, stage).items() if not name.endswith(".scp")} for exp in (tmp_path / "exp", whole))
        assert one == other, stage


@pytest.mark.parametrize("stage", range(len(STAGE_DIRS)), ids=STAGE_DIRS)
def test_killed_and_resumed_equals_unbroken(whole: Path, stage: int) -> None:
    """Begun with two jobs at a time and ended with one, each stage has the files that two have made."""
    unbroken = results(whole, STAGE_DIRS[stage])
    kept = whole.with_name("kept")
    shutil.rmtree(kept, ignore_errors=True)
    shutil.move(whole / STAGE_DIRS[stage], kept)
    only = ("--stage", str(stage), "--stop-stage", str(stage))
    kill_in_the_middle(command(whole, *only), whole / STAGE_DIRS[stage], _seconds(kept) * 0.5)
    run(whole, *only, "--nj", "1")
    assert results(whole, STAGE_DIRS[stage]) == unbroken


def kill_in_the_middle(words: list[str], directory: Path, seconds: float) -> None:
    """Start a stage, wait until it has begun to write, wait a while, and kill it and its jobs."""
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True) as process:
        while process.poll() is None and not _begun(directory):
            time.sleep(0.01)
        time.sleep(min(seconds, 20.0))
        os.killpg(process.pid, signal.SIGKILL)


def _begun(directory: Path) -> bool:
    return any(directory.parent.glob(f".{directory.name}.partial")) or any(directory.glob("**/.*.partial"))


def _seconds(directory: Path) -> float:
    return max(json.loads(path.read_text())["seconds"] for path in directory.rglob(STAMP))
