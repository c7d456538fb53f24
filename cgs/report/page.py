"""The HTML page of a report: one file, no scripts, nothing fetched, readable in the dark and on a phone."""

from __future__ import annotations

from html import escape

from cgs.report import plots
from cgs.report.markdown import facts, notes
from cgs.report.results import Material
from cgs.report.tables import KINDS, Table, confusions_table, headlines, tables

STYLE = """
:root { color-scheme: light dark; --ink: #1d2327; --paper: #fdfdfb; --faint: #6a7378; --line: #d9dcd8; --kept: #3b82c4; --dropped: #e9ebe6;
  --plot-font: "DejaVu Sans", Verdana, "Segoe UI", sans-serif; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e6e3; --paper: #16191b; --faint: #9aa3a8; --line: #363c40; --dropped: #2a2f32; } }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 1.2rem; max-width: 76rem; background: var(--paper); color: var(--ink); font: 16px/1.5 system-ui, "Segoe UI", sans-serif; }
h1 { font-size: 1.6rem; line-height: 1.25; margin: .4rem 0; }
h2 { font-size: 1.2rem; margin: 2.4rem 0 .5rem; border-bottom: 1px solid var(--line); padding-bottom: .2rem; }
h3 { font-size: 1rem; margin: 1.2rem 0 .3rem; }
nav a { margin-right: 1rem; white-space: nowrap; }
a { color: inherit; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem 1rem; font-size: .85rem; margin: .8rem 0; }
dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; min-width: 0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .7rem .25rem 0; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; vertical-align: top; }
th { font-weight: 600; color: var(--faint); vertical-align: bottom; white-space: normal; min-width: 4.5rem; max-width: 9rem; }
th:first-child, td:first-child { position: sticky; left: 0; background: var(--paper); }
figcaption, .caption { color: var(--faint); font-size: .85rem; max-width: 46rem; margin: .3rem 0; }
.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 30rem), 1fr)); gap: 1.5rem 2rem; align-items: start; }
figure { margin: 0; min-width: 0; }
figure > svg { width: 100%; height: auto; display: block; }
.masks { display: flex; flex-wrap: wrap; gap: 1rem; }
.masks div { font-size: .75rem; color: var(--faint); }
svg.mask { display: block; width: 9rem; max-height: 22rem; }
.kept { fill: var(--kept); } .dropped { fill: var(--dropped); }
@media (max-width: 40rem) { body { padding: .8rem; font-size: 15px; } dl { grid-template-columns: 1fr; } dt { margin-top: .3rem; } svg.mask { width: 7rem; } }
"""
Section = tuple[str, str, str]
"""Anchor, heading, HTML."""


def page(material: Material) -> str:
    """The whole page. Sections without data are left out."""
    results = material.results
    sections = [section for section in (*(_task(material, task) for task in KINDS), _hardware(material), _masks(material), _data(material)) if section[2]]
    links = "".join(f'<a href="#{anchor}">{escape(heading)}</a> ' for anchor, heading, _ in sections)
    terms = "".join(f"<dt>{escape(name)}</dt><dd>{escape(value)}</dd>" for name, value in facts(results))
    body = "".join(f'<section id="{anchor}"><h2>{escape(heading)}</h2>{html}</section>' for anchor, heading, html in sections)
    remarks = "".join(f"<li>{escape(note)}</li>" for note in notes(material))
    short = "".join(f"<li>{escape(text)}</li>" for text in headlines(material))
    top = f"<nav>{links}</nav>{f'<ul>{short}</ul>' if short else ''}"
    end = f'<section id="notes"><h2>Notes</h2><ul class="caption">{remarks}</ul><dl>{terms}</dl></section>'
    return document(f"{results['recipe']}: results", results["title"], top, body + end)


def document(name: str, heading: str, top: str, body: str) -> str:
    """The frame of a page: its name in the browser, its heading, HTML beside that, and the HTML of its sections."""
    head = (
        '<meta charset="utf-8"/><meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{escape(name)}</title><style>{STYLE}</style>"
    )
    header = f"<header><h1>{escape(heading)}</h1>{top}</header>"
    return f'<!DOCTYPE html>\n<html lang="en"><head>{head}</head><body>{header}<main>{body}</main></body></html>\n'


def _task(material: Material, task: str) -> Section:
    rows = material.rows(task)
    if not rows:
        return task, "", ""
    shown = [table for table in tables(material) if table.title.endswith(KINDS[task])]
    if task == "kws":
        shown += [table for table in tables(material) if table.title == "AUC by keyword"]
    shown += [table for table in [confusions_table(material)] if table.rows and task == "asr"]
    measures = ("auc",) if task == "kws" else ("wer", "ser")
    name = "AUC" if task == "kws" else f"{material.results['unit']} and sentence error rates"
    figures = [
        figure(
            plots.intervals_plot(material, task, measures),
            f"Test-set {name} with intervals. Open marks: float network, filled: packed integer model. "
            "Look whether sparse and packed marks lie inside the dense network's interval.",
        )
    ]
    if any(row["file_bytes"] for row in rows):
        better = "up and to the left" if task == "kws" else "down and to the left"
        figures.append(figure(plots.size_plot(material, task), f"File size, logarithmic, against accuracy. Better is {better}. Open: float, filled: packed."))
    if task == "kws" and material.roc:
        told = "All keywords under one threshold; dashed: float, solid: packed, a line a seed. Better is up and to the left; the left end matters in use."
        figures.append(figure(plots.roc_plot(material), told))
    if any(material.training.get((row["system"], row["seed"])) for row in rows):
        told = "Loss by epoch, a line for each seed. Solid: held out, dotted: training. A widening gap is overfitting."
        figures.append(figure(plots.training_plot(material, task), told))
    return task, KINDS[task].capitalize(), f'{table_html(shown[0])}<div class="figures">{"".join(figures)}</div>{"".join(map(table_html, shown[1:]))}'


def _hardware(material: Material) -> Section:
    if not material.hardware:
        return "chip", "", ""
    shown = next(table for table in tables(material) if table.title == "As a chip")
    figures = [
        figure(
            plots.power_plot(material),
            f"Power by component at {material.results['reference_supply_v']:g} V, first seed of each system. Look how much the weight memory takes.",
        ),
        figure(plots.supply_plot(material), "Power in real time against supply. Open marks: the engine is too slow for real time at that supply."),
    ]
    link = '<p><a href="chip.html">Other supplies, MACs and areas, with sliders</a></p>' if material.models else ""
    return "chip", shown.title, f'{table_html(shown, title=False)}{link}<div class="figures">{"".join(figures)}</div>'


def _masks(material: Material) -> Section:
    pictures = []
    for system, layers in material.masks.items():
        shown = []
        for number, layer in enumerate(layers, start=1):
            if layer is None:
                shown.append(f"<div>layer {number}: dense</div>")
            else:
                n_rows, n_columns, kept = layer
                label = escape(f"{system}, layer {number}", quote=True)
                shown.append(f"<div>layer {number}: {n_rows} x {n_columns} blocks{plots.mask_picture(n_rows, n_columns, kept, label)}</div>")
        told = "In colour: kept blocks. Rows are blocks of outputs, columns of inputs. Every row keeps equally many; every column is used where they suffice."
        pictures.append(f'<h3>{escape(system)}</h3><figure><div class="masks">{"".join(shown)}</div><figcaption>{told}</figcaption></figure>')
    return "masks", "Which blocks are kept", "".join(pictures)


def _data(material: Material) -> Section:
    shown = [table for table in tables(material) if table.title in ("Data", "Language model", "Decoding graphs")]
    return "data", "Data", "".join(table_html(table, title=table.title != "Data") for table in shown)


def figure(svg: str, caption: str) -> str:
    """A picture and how to read it."""
    return f"<figure>{svg}<figcaption>{escape(caption)}</figcaption></figure>"


def table_html(table: Table, title: bool = True) -> str:
    """A table, under its title if that is wanted."""
    header = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in table.rows)
    heading = f"<h3>{escape(table.title)}</h3>" if title else ""
    caption = f'<p class="caption">{escape(table.caption)}</p>' if table.caption else ""
    return f'{heading}<div class="scroll"><table><thead><tr>{header}</tr></thead><tbody>{rows}</tbody></table></div>{caption}'
