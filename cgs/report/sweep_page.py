"""A sweep's report for people: tables, RESULTS.md and the HTML page with its plots."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any

from cgs.base.units import file_size, percent, with_prefix
from cgs.report.comparison import sentence
from cgs.report.markdown import escaped, facts, table_lines
from cgs.report.page import document, figure, table_html
from cgs.report.sweep_plots import LABELLED_AXES, cost_plot, shown_value
from cgs.report.tables import DASH, KINDS, Table, number, with_interval

NOTES = (
    "A point is on a front if no other one is as good in error and cost and better in one of them; fronts are drawn through means over seeds, "
    "so near neighbours on them may well be in the other order with other seeds.",
    "Differences are from the dense network in 32-bit floats of the same seed, paired over the same utterances, in points of a hundred.",
    "Weights kept and shares of float32 are of that dense network too.",
)

COST_COLUMNS = ("weights kept, %", "file", "of dense float32, %", "power")


def sweep_tables(results: Mapping[str, Any]) -> list[Table]:
    """For each task the means over seeds, then a row for each point; those that cannot be or failed with their reasons."""
    told = []
    for task, kind in KINDS.items():
        told += [_means(results, task, kind), _points(results, task, kind)]
    lacking = [[row["system"], str(row["seed"]), row["status"], row["reason"] or DASH] for row in results["rows"] if row["status"] != "done"]
    told.append(Table("Points without a result", ["system", "seed", "", "reason"], lacking))
    return [table for table in told if table.rows]


def markdown(results: Mapping[str, Any]) -> str:
    """The whole of a sweep's RESULTS.md."""
    lines = [f"# {escaped(results['sweep_title'])}", "", f"A sweep of {escaped(results['title'])}. Made by the sweep; do not edit.", ""]
    lines += [f"- {name}: `{value}`" if name == "command" else f"- {name}: {escaped(value)}" for name, value in facts(dict(results))]
    for table in sweep_tables(results):
        lines += ["", *table_lines(table)]
    return "\n".join([*lines, "", "## Notes", "", *(f"- {escaped(note)}" for note in NOTES)]) + "\n"


def page(results: Mapping[str, Any]) -> str:
    """The whole page: plots first."""
    figures, labelled = [], results["axes"][1 : 1 + LABELLED_AXES]
    told = f", labelled by {', '.join(labelled)} where there is room" if labelled else ""
    for task, kind in KINDS.items():
        for cost, what in (("file_bytes", "Bytes of the packed file"), ("power_w", _power(results))):
            if any(entry["task"] == task and entry[cost] is not None for entry in results["summary"]):
                how = f"{what}, logarithmic, against error: {kind}. Marks: mean over seeds, with the range. Filled and joined: the Pareto front{told}."
                figures.append(figure(cost_plot(results, task, cost), how))
    tables = "".join(table_html(table) for table in sweep_tables(results))
    remarks = "".join(f"<li>{escape(note)}</li>" for note in NOTES)
    terms = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(dict(results)))
    end = f'<section id="notes"><h2>Notes</h2><ul class="caption">{remarks}</ul><dl>{terms}</dl></section>'
    top = f"<p>A sweep of {escape(results['title'])}.</p>"
    return document(f"{results['recipe']}: {results['sweep']}", results["sweep_title"], top, f'<div class="figures">{"".join(figures)}</div>{tables}{end}')


def _power(results: Mapping[str, Any]) -> str:
    return f"Power at {results['node']} and {results['reference_supply_v']:g} V"


def _score(results: Mapping[str, Any], task: str) -> str:
    return "AUC" if task == "kws" else f"{results['rate']}, %"


def _costs(row: Mapping[str, Any]) -> list[str]:
    size = [DASH, DASH] if row["file_bytes"] is None else [file_size(row["file_bytes"]), percent(row["fraction_of_float32"])]
    return [DASH if row["kept"] is None else percent(row["kept"]), *size, DASH if row["power_w"] is None else with_prefix(row["power_w"], "W")]


def _means(results: Mapping[str, Any], task: str, kind: str) -> Table:
    rows = []
    form = number if task == "kws" else percent
    headline = next((told["baseline"] for entry in results["summary"] if entry["task"] == task and (told := entry["against_headline"])), None)
    for entry in results["summary"]:
        if entry["task"] == task:
            value, fronts = entry["value"], [name for cost, name in (("file_bytes", "size"), ("power_w", "power")) if entry["on_front"][cost]]
            spread = f"{form(value['mean'])} ({form(value['min'])} to {form(value['max'])})" if entry["n_seeds"] > 1 else form(value["mean"])
            axes = [shown_value(entry["options"][axis]) for axis in results["axes"]]
            difference = sentence(entry["difference"]) if entry["difference"] else DASH
            rivalry = [sentence(entry["against_headline"]) if entry["against_headline"] else DASH] if headline else []
            sentences = [percent(entry["ser"]), sentence(entry["ser_difference"]) if entry["ser_difference"] else DASH] if task == "asr" else []
            scores = [spread, difference, *rivalry, *sentences]
            rows.append([entry["system"], *axes, str(entry["n_seeds"]), *scores, *_costs(entry), ", ".join(fronts) or DASH])
    baseline = results["baselines"].get(task)
    against = f"Against: {baseline['system']} in 32-bit floats, {form(baseline['float_value'])}, mean of {baseline['n_seeds']}. " if baseline else ""
    differences = ["against dense float", *(["against the headline"] if headline else []), *(["SER, %", "SER against dense float"] if task == "asr" else [])]
    header = ["system", *results["axes"], "seeds", _score(results, task), *differences, *COST_COLUMNS, "on the front of"]
    against += f"The headline: {headline}; what is worse than it is said to be worse. " if headline else ""
    return Table(f"Over seeds: {kind}", header, rows, f"Mean, and smallest to largest. {against}{_power(results)}, network only.")


def _points(results: Mapping[str, Any], task: str, kind: str) -> Table:
    rows = []
    form = number if task == "kws" else percent
    for row in results["rows"]:
        if row["status"] == "done" and row["task"] == task:
            axes = [shown_value(row["options"][axis]) for axis in results["axes"]]
            difference = sentence(row["difference"]) if row["difference"] else DASH
            scores = [with_interval(row["value"], row["interval"], form), form(row["float_value"]), difference]
            scores += [percent(row["ser"])] if task == "asr" else []
            rows.append([row["system"], str(row["seed"]), *axes, *scores, *_costs(row)])
    scores = [_score(results, task), "before packing", "against dense float", *(["SER, %"] if task == "asr" else [])]
    header = ["system", "seed", *results["axes"], *scores, *COST_COLUMNS]
    return Table(f"Every point: {kind}", header, rows, f"Test set. Brackets: {100 * results['confidence']:g} % bootstrap intervals.")
