"""RESULTS.md: the tables of a report as Markdown, under the facts needed to make it again."""

from __future__ import annotations

from typing import Any

from cgs.base.units import file_size
from cgs.report.results import Material
from cgs.report.tables import Table, headlines, tables


def facts(results: dict[str, Any]) -> list[tuple[str, str]]:
    """Command, commit, digests and machine, as (name, value)."""
    machine = results["machine"]
    versions = f"Python {machine['python']}, torch {machine['torch']}"
    return [
        ("command", results["command"] or "-"),
        ("commit", results["commit"] or "outside a checkout"),
        ("options", f"SHA-256 {results['config_digest']}"),
        ("data", f"SHA-256 {results['data_digest']}"),
        ("machine", f"{machine['cpu']}, {machine['cores']} cores, {file_size(machine['memory_bytes'])}, {versions}"),
        ("corpus", f"{results['corpus']['attribution']}; licence: {results['corpus']['licence']}"),
    ]


NOTES = (
    "Float rows are the trained networks in 32-bit floats; packed rows are computed by the integer engine from the packed file alone.",
    "A float network's file is compared with the dense float network of the same shape, like a packed one's.",
    "Intervals resample speakers where there are at least ten of them, utterances otherwise.",
    "The commit is that of the checkout when the report was made; a stage that was up to date then may have been made by an earlier one.",
)


def notes(material: Material) -> list[str]:
    """What a reader must know: how rows are made, what the corpus's script says, which chips are too slow."""
    corpus = [f"{name}: {text}" for name, text in sorted(material.results["data"]["notes"].items())]
    warnings = {f"{system}: {text}" for (system, _), hardware in material.hardware.items() for text in hardware["warnings"]}
    return [*NOTES, *guessed(material.results["lang"]), *corpus, *sorted(warnings)]


def guessed(lang: dict[str, Any]) -> list[str]:
    """A line on pronunciations that were guessed, where there are any."""
    facts = lang.get("g2p") or {}
    if not facts.get("n_guessed"):
        return []
    words = f"{facts['n_guessed']} words of the training text, {facts['n_running_guessed']} of its running words"
    return [f"The pronunciations of {words}, are guessed from their spelling (2-lang/guessed.txt)."]


def markdown(material: Material) -> str:
    """The whole of RESULTS.md."""
    results = material.results
    lines = [f"# {escaped(results['title'])}", "", "Made by the report stage; do not edit.", ""]
    lines += [f"- {name}: `{value}`" if name == "command" else f"- {name}: {escaped(value)}" for name, value in facts(results)]
    told = headlines(material)
    lines += ["", "## In short", "", *(f"- {escaped(text)}" for text in told)] if told else []
    for table in tables(material):
        lines += ["", *table_lines(table)]
    lines += ["", "## Notes", "", *(f"- {escaped(note)}" for note in notes(material))]
    return "\n".join(lines) + "\n"


def table_lines(table: Table) -> list[str]:
    """A table under its title, as lines of Markdown."""
    lines = [f"## {table.title}", "", "| " + " | ".join(map(escaped, table.header)) + " |", "|" + "---|" * len(table.header)]
    lines += ["| " + " | ".join(map(escaped, row)) + " |" for row in table.rows]
    return lines + (["", table.caption] if table.caption else [])


def escaped(text: str) -> str:
    """Text that Markdown shows as it is."""
    for character in "\\|<>*`":
        text = text.replace(character, "\\" + character)
    return text
