"""The tables of a report as plain strings, which RESULTS.md and the page both print.

Owns what is shown and how numbers are rounded; nothing is computed here."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cgs.base.units import duration, file_size, percent, square_millimetres, with_prefix
from cgs.report.comparison import ALL_SEEDS, MEASURES, sentence
from cgs.report.results import Material
from cgs.report.rows import MAIN

DASH = "-"
KINDS = {"asr": "recognition", "kws": "keyword spotting"}
PASSES = {"best_path_wer": "best path", "rescored_wer": "rescored", "mbr_wer": "MBR"}


@dataclass(frozen=True)
class Table:
    """A table.

    Args:
        title: what it shows.
        header: one name a column.
        rows: one string a column.
        caption: how to read it.
    """

    title: str
    header: list[str]
    rows: list[list[str]]
    caption: str = ""


def number(value: float | None, digits: int = 4) -> str:
    """A plain number, or a dash."""
    return DASH if value is None else f"{value:.{digits}f}"


def interval(ends: list[float] | None, form: Callable[[float], str] = percent) -> str:
    """An interval in square brackets, or nothing."""
    return "" if ends is None else f" [{form(ends[0])}, {form(ends[1])}]"


def with_interval(value: float | None, ends: list[float] | None, form: Callable[[Any], str] = percent) -> str:
    """A value and its interval."""
    return f"{form(value)}{interval(ends, form)}" if value is not None else DASH


def tables(material: Material) -> list[Table]:
    """Every table that has rows."""
    told: list[Table] = []
    for task in KINDS:
        told += [systems_table(material, task), seeds_table(material, task), comparison_table(material, task)]
        told += [conditions_table(material, task)]
    told += [ladder_table(material), unknown_table(material)]
    told += [lattice_table(material), keyword_table(material), hardware_table(material), data_table(material), language_table(material), graph_table(material)]
    return [table for table in told if table.rows]


def headlines(material: Material) -> list[str]:
    """A sentence for each sparse packed system: size, accuracy against dense float, power."""
    summary = {(e["system"], e["engine"]): e for e in material.results["summary"] if e["condition"] == MAIN}
    told = []
    for (system, engine), entry in summary.items():
        row = next(r for r in material.rows(entry["task"]) if (r["system"], r["engine"]) == (system, engine))
        if row["method"] in ("dense", "gmm") or engine != "packed":
            continue
        parts = [f"file {percent(row['reduction_vs_float32'], 1)} % smaller than 32-bit floats"]
        for c in material.results["comparisons"]:
            last = ALL_SEEDS if entry["n_seeds"] > 1 else row["seed"]
            if (c["system"], c["engine"], c["condition"], c["seed"]) == (system, engine, MAIN, last):
                values = [summary[who][c["measure"]] for who in ((system, engine), (c["baseline"], "float"))]
                form = number if c["measure"] == "auc" else lambda v: f"{percent(v)} %"
                ours, theirs = (form(v["mean"]) if v else DASH for v in values)
                parts.append(f"{material.measure_name(c['measure'])} {ours} against {theirs} of {c['baseline']} float, {sentence(c)}")
        if chip := (row["hardware"] or {}).get("40nm"):
            slow = "" if chip["real_time"] else ", too slow for real time"
            parts.append(f"{with_prefix(chip['power_w'], 'W')} estimated at 40 nm and {chip['supply_v']:g} V{slow}")
        seeds = f", mean of {entry['n_seeds']} seeds" if entry["n_seeds"] > 1 else ""
        told.append(f"{system} (density {row['density']:g}, {row['bits']} bit{seeds}): {'; '.join(parts)}.")
    return told


def name_of(row: dict[str, Any]) -> str:
    """A row's system, engine and seed: "cgs packed, seed 1"."""
    return "GMM" if row["method"] == "gmm" else f"{row['system']} {row['engine']}, seed {row['seed']}"


def data_table(material: Material) -> Table:
    """Utterances, speakers, audio and what was dropped of each split."""
    data = material.results["data"]
    order = sorted(data["splits"], key=lambda name: (("train", "dev", "test").index(name) if name in ("train", "dev", "test") else 3, name))
    rows = []
    for name in order:
        split, dropped = data["splits"][name], data["dropped"].get(name, {})
        reasons = ", ".join(f"{n} {reason}" for reason, n in sorted(dropped.items())) or "none"
        rows.append([name, str(split["utterances"]), str(split["speakers"]), duration(split["seconds"]), reasons])
    return Table("Data", ["split", "utterances", "speakers", "audio", "dropped"], rows)


def language_table(material: Material) -> Table:
    """Perplexity and unknown words of each vocabulary."""
    rows = []
    for vocabulary, described in material.results["lang"].get("vocabularies", {}).items():
        for split, p in sorted(described["prediction"].items()):
            rows.append([f"{vocabulary}, {described['order']}-gram", split, number(p["perplexity"], 1), percent(p["oov_rate"])])
    shown = rows if material.rows("asr") else []
    return Table("Language model", ["vocabulary", "split", "perplexity", "unknown words, %"], shown, "Perplexity of the transcripts over known words.")


def systems_table(material: Material, task: str) -> Table:
    """One line for each network, engine and seed of a task in the main condition."""
    scores = _score_header(material, task)
    header = ["system", "density", "block", "bits", *scores, "file", "smaller than float32, float64, %", "40 nm power", "rtf", "trained in"]
    rows = []
    for row in material.rows(task):
        form = [name_of(row), number(row["density"], 2), str(row["block"] or DASH), str(row["bits"] or DASH)]
        rows.append([*form, *_scores(material, row, task), *_costs(row)])
    level = f"{100 * material.results['confidence']:g} %"
    misses = "FA/h: false alarms an hour. " if task == "kws" else ""
    caption = f"Test set. Brackets: {level} bootstrap intervals. {misses}File: bytes on disk, block indices included. Power: {_power_note(material)}."
    return Table(f"Systems: {KINDS[task]}", header, rows, caption)


def _score_header(material: Material, task: str) -> list[str]:
    if task == "kws":
        return ["AUC", "missed at 1 FA/h, %", *(["right class, %"] if _has_classes(material) else [])]
    characters = ["CER, %"] if _has_characters(material) else []
    return [f"{material.measure_name('wer')}, %", *characters, "SER, %", "sub / ins / del"]


def _has_characters(material: Material) -> bool:
    """False where words are phones or characters themselves."""
    return bool(material.results["unit"] == "word")


def _has_classes(material: Material) -> bool:
    """True where some condition holds isolated words only, so that each recording is of one class."""
    return any(row.get("utterance_accuracy") is not None for row in material.results["rows"])


def _scores(material: Material, row: dict[str, Any], task: str) -> list[str]:
    if task == "kws":
        classes = [percent(row.get("utterance_accuracy"))] if _has_classes(material) else []
        return [with_interval(row["auc"], row["auc_ci"], number), percent((row.get("miss_rate_at_alarms_per_hour") or {}).get("1")), *classes]
    errors = " / ".join(str(row.get(key, DASH)) for key in ("substitutions", "insertions", "deletions"))
    characters = [with_interval(row.get("cer"), row.get("cer_ci"))] if _has_characters(material) else []
    return [with_interval(row["wer"], row["wer_ci"]), *characters, with_interval(row["ser"], row["ser_ci"]), errors]


def _costs(row: dict[str, Any]) -> list[str]:
    size = DASH if row["file_bytes"] is None else file_size(row["file_bytes"])
    seconds = DASH if row["train_seconds"] is None else duration(row["train_seconds"])
    chip = (row["hardware"] or {}).get("40nm")
    watts = DASH if chip is None else f"{with_prefix(chip['power_w'], 'W')}{'' if chip['real_time'] else ' (too slow)'}"
    reductions = DASH if row["file_bytes"] is None else f"{percent(row['reduction_vs_float32'])}, {percent(row['reduction_vs_float64'])}"
    return [size, reductions, watts, number(row["rtf"], 3), seconds]


def _power_note(material: Material) -> str:
    results = material.results
    return f"network only, {results['n_macs']} MAC{'s' if results['n_macs'] > 1 else ''}, {results['reference_supply_v']:g} V"


def seeds_table(material: Material, task: str) -> Table:
    """Mean and range over the seeds, where a system has several."""
    measures = MEASURES[task]
    entries = [e for e in material.results["summary"] if e["task"] == task and e["condition"] == MAIN]
    rows = []
    for entry in entries if any(e["n_seeds"] > 1 for e in entries) else []:
        form = number if task == "kws" else percent
        values = [f"{form(v['mean'])} ({form(v['min'])} to {form(v['max'])})" if (v := entry[m]) else DASH for m in measures]
        rows.append(["GMM" if entry["engine"] == "gmm" else f"{entry['system']} {entry['engine']}", str(entry["n_seeds"]), *values])
    header = ["system", "seeds", *("AUC" if m == "auc" else f"{material.measure_name(m)}, %" for m in measures)]
    return Table(f"Over seeds: {KINDS[task]}", header, rows, "Mean, and smallest to largest, over seeds.")


def comparison_table(material: Material, task: str) -> Table:
    """Differences from the dense float system: every seed in the main condition, all seeds together in the others."""
    measures = MEASURES[task]
    cells: dict[tuple[str, str, str], dict[str, str]] = {}
    n_seeds = {(e["system"], e["condition"]): e["n_seeds"] for e in material.results["summary"]}
    for c in material.results["comparisons"]:
        pooled = c["seed"] == ALL_SEEDS or n_seeds[c["system"], c["condition"]] == 1
        if c["task"] == task and (pooled or c["condition"] == MAIN):
            seed = "all seeds" if c["seed"] == ALL_SEEDS else f"seed {c['seed']}"
            cells.setdefault((c["condition"], f"{c['system']} {c['engine']}, {seed}", f"{c['baseline']} float"), {})[c["measure"]] = sentence(c)
    rows = [[*key, *(found.get(m, DASH) for m in measures)] for key, found in cells.items()]
    rows.sort(key=lambda row: row[0] != MAIN)
    caption = (
        "Paired bootstrap over the same utterances, in points of a hundred (AUC too: 0.10 is an AUC of 0.0010). An interval that holds 0 is called "
        '"not distinguishable"; that does not show that there is no difference.'
    )
    header = ["condition", "system", "against", *map(material.measure_name, measures)]
    return Table(f"Is it worse than dense float? {KINDS[task]}", header, rows, caption)


def conditions_table(material: Material, task: str) -> Table:
    """The other test conditions."""
    rows = [[row["condition"], name_of(row), *_scores(material, row, task)] for row in material.rows(task, main=False)]
    return Table(f"Other conditions: {KINDS[task]}", ["condition", "system", *_score_header(material, task)], sorted(rows, key=lambda r: r[0]))


def ladder_table(material: Material) -> Table:
    """The GMMs that the aligning one was trained from, then that one and the mean of each system's float networks."""
    rate = material.measure_name("wer")
    ladder = material.results["ladder"]
    rows = []
    for entry in ladder:
        counts = f"{entry['substitutions']} / {entry['insertions']} / {entry['deletions']}"
        scores = [with_interval(entry[key], entry[f"{key}_ci"]) for key in ("wer", "ser")]
        rows.append([entry["step"], str(entry["n_pdfs"]), str(entry["n_gaussians"]), *scores, counts])
    for entry in material.results["summary"] if ladder else []:
        if entry["task"] == "asr" and entry["condition"] == MAIN and entry["engine"] in ("gmm", "float"):
            name = "the aligning GMM" if entry["engine"] == "gmm" else f"{entry['system']}, mean of {entry['n_seeds']}"
            rows.append([name, "-", "-", percent(entry["wer"]["mean"]), percent(entry["ser"]["mean"]), "-"])
    header = ["model", "pdfs", "Gaussians", f"{rate}, %", "SER, %", "sub / ins / del"]
    return Table("Step by step: recognition", header, rows, "Each step starts from the alignment of the one before. Weights are chosen on dev for each.")


def lattice_table(material: Material) -> Table:
    """What lattices hold, and the error rate of each pass over them."""
    found = [row for main in (True, False) for row in material.rows("asr", main) if row.get("lattice")]
    passes = {key: name for key, name in PASSES.items() if any(key in row["lattice"] for row in found)}
    rows = []
    for row in found:
        lattice = row["lattice"]
        rates = [percent(lattice.get(key)) for key in passes]
        rows.append([row["condition"], name_of(row), *rates, percent(lattice["oracle_wer"]), number(lattice["density"], 1), f"{lattice['beam']:g}"])
    rate = material.measure_name("wer")
    header = ["condition", "system", *(f"{name}, {rate} %" for name in [*passes.values(), "oracle"]), "density", "beam"]
    caption = "The last pass gives the error rates above. Oracle: the nearest word sequence of each lattice. Density: words over a frame, on average."
    return Table("In the lattice: recognition", header, rows, caption)


def graph_table(material: Material) -> Table:
    """Size of each decoding graph, and what making it took."""
    rows = []
    for graph in material.results["graphs"]:
        spent = [file_size(graph["n_bytes"]), file_size(graph["peak_rss_bytes"]), duration(graph["seconds"])]
        rows.append([graph["vocabulary"], str(graph["n_states"]), str(graph["n_arcs"]), *spent])
    caption = "Memory and processor time of the job that made it, at most and in all."
    return Table("Decoding graphs", ["vocabulary", "states", "arcs", "file", "memory", "time"], rows if material.rows("asr") else [], caption)


def unknown_table(material: Material) -> Table:
    """Words outside the training text: how many are recognised (first seed of each system); nothing where no vocabulary holds any."""
    rows: dict[tuple[str, str], list[str]] = {}
    found = [row for main in (True, False) for row in material.rows("asr", main) if row.get("n_unknown")]
    for row in found if any(row["n_unknown_hypothesised"] for row in found) else []:
        name = "GMM" if row["method"] == "gmm" else f"{row['system']} {row['engine']}"
        counts = [str(row[key]) for key in ("n_unknown", "n_unknown_recognised", "n_unknown_hypothesised")]
        rows.setdefault((row["condition"], name), [row["condition"], name, *counts, percent(row["unknown_recall"]), percent(row["unknown_precision"])])
    header = ["condition", "system", "spoken", "recognised", "put out", "recall, %", "precision, %"]
    return Table(f"Words outside the training text: {KINDS['asr']}", header, sorted(rows.values()), "First seed of each system.")


def keyword_table(material: Material) -> Table:
    """AUC of each keyword, a column for each system and engine (first seed)."""
    columns: dict[str, dict[str, Any]] = {}
    for row in material.rows("kws"):
        columns.setdefault(f"{row['system']} {row['engine']}", row.get("per_keyword") or {})
    words = list(dict.fromkeys(word for scores in columns.values() for word in scores))
    rows = []
    for word in words:
        n_positive = next((scores[word]["n_positive"] for scores in columns.values() if word in scores), None)
        cells = [with_interval(scores[word]["auc"], scores[word]["auc_ci"], number) if word in scores else DASH for scores in columns.values()]
        rows.append([word, DASH if n_positive is None else str(n_positive), *cells])
    return Table("AUC by keyword", ["keyword", "times spoken", *columns], rows, "First seed of each system.")


def confusions_table(material: Material) -> Table:
    """The most frequent errors, a column for each system and engine (first seed)."""
    columns: dict[str, list[str]] = {}
    for row in material.rows("asr"):
        found = [f"{ref or '(nothing)'} > {hyp or '(nothing)'}: {n}" for ref, hyp, n in row.get("confusions") or []]
        columns.setdefault("GMM" if row["method"] == "gmm" else f"{row['system']} {row['engine']}", found)
    rows = [[cell or DASH for cell in cells] for cells in itertools.zip_longest(*columns.values())]
    told = "Spoken > recognised: how often; first seed of each system. All of them: <engine>.<split>.confusions.txt in 8-decode."
    return Table("Most frequent errors", list(columns), rows, told)


def hardware_table(material: Material) -> Table:
    """What each packed network would cost as a chip at the reference supply."""
    rows, seen = [], set()
    for (system, _), hardware in material.hardware.items():
        if system in seen:
            continue
        seen.add(system)
        memory = file_size(sum(part["n_bytes"] for part in hardware["memories"].values()))
        for node, at in hardware["reference"].items():
            power = with_interval(at["power_w"], at["power_interval_w"], lambda watts: with_prefix(watts, "W"))
            clock = with_prefix(at["clock_hz"], "Hz") + ("" if at["real_time"] else f" (only {with_prefix(at['max_clock_hz'], 'Hz')} possible)")
            cost = [power, with_prefix(at["energy_per_frame_j"], "J"), square_millimetres(at["area_m2"])]
            rows.append([system, node, f"{at['supply_v']:g} V", str(hardware["counts"]["macs"]), clock, memory, *cost])
    header = ["system", "node", "supply", "MACs a frame", "clock for real time", "memory", "power", "energy a frame", "area"]
    caption = "First seed of each system. An analytic model of the network alone, without features or search; see docs/hardware.md for what it rests on."
    return Table("As a chip", header, rows, caption)
