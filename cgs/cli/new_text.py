"""The three files that --new writes: recipe.toml with the reason beside each choice, its page, and the data script."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from cgs.base.options import DataOptions
from cgs.base.units import duration
from cgs.data.import_choices import Size, ladder, size_for
from cgs.data.imports import SHAPES, Options
from cgs.data.survey import Survey

SCRIPT = '''"""{name}: made by run.sh --new, from {shape}.

Yours to edit: whatever is peculiar to this corpus belongs here."""

from __future__ import annotations

from pathlib import Path

from cgs.data import imports
from cgs.data.corpus import Corpus


class Options(imports.Options):
    """The [local] table of recipe.toml; add options of your own here."""


def check_layout(root: Path, options: Options) -> None:
    """Raises: CorpusError, DataError, ProblemsError: another layout, or tables that cannot be read."""
    imports.check_layout(root, options)


def prepare(root: Path, audio_dir: Path, options: Options, seed: int) -> Corpus:
    """Read the corpus; nothing is written and nothing depends on the seed."""
    items = imports.read(root, options)
    # Change items here, e.g. dataclasses.replace(item, text=item.text.replace("&", "and")) for each.
    return imports.corpus_of(items, options)
'''


@dataclass(frozen=True)
class Plan:
    """Everything the files say.

    Args:
        name: of the recipe.
        options: the [local] table.
        data: the [data] table.
        found: what the corpus holds.
        split: the rule of the splits, in words.
        marks: what stands in brackets in the transcripts, once for each transcript with such.
    """

    name: str
    options: Options
    data: DataOptions
    found: Survey
    split: str
    marks: tuple[str, ...] = ()

    @property
    def hours(self) -> float:
        """Training speech."""
        return self.found.split_seconds("train") / 3600

    @property
    def size(self) -> Size:
        """Sizes that fit it."""
        return size_for(self.hours, bool(self.options.keywords))

    @property
    def ladder(self) -> tuple[str, str]:
        """Last step of the alignment, and why."""
        return ladder(self.found, self.hours, bool(self.options.keywords))


def script_text(plan: Plan) -> str:
    """local/<name>.py."""
    return SCRIPT.format(name=plan.name, shape=SHAPES[plan.options.shape])


def recipe_text(plan: Plan) -> str:
    """recipe.toml."""
    tables = [*_head(plan), _data(plan), _local(plan), _lang(plan), *_training(plan), *(_systems_kws(plan) if plan.options.keywords else _systems_asr(plan))]
    return f"# Made by ./run.sh --new; yours to edit. Options not named here have their defaults (--list-options).\n\n{chr(10).join(tables)}"


def readme_text(plan: Plan) -> str:
    """README.md of the recipe."""
    found = plan.found
    counts = [(split, len(told), len(found.speakers(split)), duration(found.split_seconds(split))) for split, told in found.splits.items()]
    rows = "\n".join(f"| {' | '.join(map(str, row))} |" for row in counts)
    n_utterances, seconds = sum(map(len, found.splits.values())), sum(map(found.split_seconds, found.splits))
    return f"""# {plan.name}

{n_utterances} utterances, {duration(seconds)}, read from {SHAPES[plan.options.shape]}. Licence and attribution: fill them in, here and in `recipe.toml`.

**Run it.**

```
./run.sh --recipe {plan.name} --corpus DIR --stop-stage 1     # data directories, checked
./run.sh --recipe {plan.name} --corpus DIR                    # to the report
```

| split | utterances | speakers | speech |
|---|---|---|---|
{rows}

**Splits.** {plan.split}.
"""


def _head(plan: Plan) -> list[str]:
    told = f"{plan.name}: {sum(map(len, plan.found.splits.values()))} utterances, {plan.data.sample_rate / 1000:g} kHz"
    recipe = _table("recipe", [("name", plan.name, ""), ("title", told, "one line for the report"), ("seed", 1, "")])
    return [recipe, _table("corpus", [("licence", "not stated", "fill in: may others use it, and the models?"), ("attribution", "not stated", "fill in")])]


def _data(plan: Plan) -> str:
    data, rates = plan.data, sorted(set(plan.found.rates.values()))
    many = f"the commonest of {', '.join(map(str, rates))} Hz, 16000 at most" if len(rates) > 1 or rates[:1] != [data.sample_rate] else "as all recordings have"
    rows: list[tuple[str, Any, str]] = [("sample_rate", data.sample_rate, many)]
    if data.resample:
        rows.append(("resample", True, "recordings of other rates are converted"))
    if data.max_bad_fraction:
        rows.append(("max_bad_fraction", data.max_bad_fraction, f"{len(plan.found.empty)} utterances without a transcript, silent, or too short, are dropped"))
    if data.max_oov_fraction:
        rows.append(("max_oov_fraction", data.max_oov_fraction, f"{len(plan.found.missing)} words are not in the lexicon and train as unknown"))
    return _table("data", rows)


def _local(plan: Plan) -> str:
    options, found = plan.options, plan.found
    rows: list[tuple[str, Any, str]] = [("shape", options.shape, SHAPES[options.shape])]
    if options.manifest:
        rows.append(("manifest", options.manifest, "the one file to read"))
    if options.keywords:
        rows.append(("keywords", options.keywords, "to spot; other words are other speech"))
    if options.lexicon:
        rows.append(("lexicon", options.lexicon, "a copy of the file given"))
    drawn = bool(options.test_below or options.dev_below)
    if drawn:
        why = "no speaker is in two splits" if options.split_by == "speaker" else "too few speakers, or unknown ones: voices are in several splits"
        rows.append(("split_by", options.split_by, why))
    rule = "names are hashed to 0-1; those below this are test, whatever files are added later"
    rows.append(("test_below", options.test_below, rule if options.test_below else "the corpus has its own test split"))
    own_dev = options.dev_below <= options.test_below
    rows.append(("dev_below", options.dev_below, "the corpus has its own dev split" if own_dev else "and the others below this dev"))
    unknown = "speakers of training are in dev or test too: results flatter" if found.speakers_known else "nobody knows who speaks"
    rows.append(("unseen_speakers", options.unseen_speakers, "a speaker who trains and tests is refused" if options.unseen_speakers else unknown))
    return _table("local", rows)


def _lang(plan: Plan) -> str:
    longest = max((len(utterance.words) for utterance in plan.found.splits["train"]), default=0)
    n_words = len(plan.found.words("train"))
    if longest <= 1:
        order = (1, "every sentence is one word")
    elif n_words < 50:
        order = (2, f"{n_words} words: a longer memory would learn the sentences by heart")
    else:
        order = (3, f"{n_words} words in {len(plan.found.splits['train'])} sentences")
    return _table("lang", [("ngram_order", *order)])


def _training(plan: Plan) -> list[str]:
    size, told = plan.size, f"for {duration(plan.hours * 3600)} of training speech"
    rows: list[tuple[str, Any, str]] = [("mono_gaussians", size.mono, told)]
    model, why = plan.ladder
    if model != "tri":
        rows.append(("model", model, why))
    if model != "mono":
        rows += [("n_leaves", size.leaves, ""), ("tri_gaussians", size.gaussians, "")]
    nn: list[tuple[str, Any, str]] = [("minibatch", 512, "")] if size.model != "mono" else [("epochs", 20, "short ones"), ("held_out_fraction", 0.1, "")]
    nn.append(("dropout", 0.2, ""))
    if plan.options.keywords:
        return [_table("align", rows), _table("kws", [("minibatch", 512, ""), ("dropout", 0.2, ""), ("frame_stride", 2, "other speech is plenty")])]
    if model == "sat":
        nn.append(("features", "fmllr", 'adapted to each speaker; with "fbank", which a stream needs, set mel_warp = 0.1'))
    elif model != "mono":
        nn += [("mel_warp", 0.1, "stands for other voices"), *([("frequency_masks", size.masks, "")] if size.masks else [])]
    return [_table("align", rows), _table("nn", nn)]


def _systems_asr(plan: Plan) -> list[str]:
    size, hidden = plan.size, list(plan.size.hidden)
    gpu = "with this much speech, train on a GPU (--device cuda)" if size.hours > 10 else ""
    dense: list[tuple[str, Any, str]] = [("task", "asr", ""), ("method", "dense", ""), ("hidden", hidden, gpu)]
    sparse: list[tuple[str, Any, str]] = [
        ("task", "asr", ""), ("method", "cgs", ""), ("hidden", hidden, ""), ("density", 0.25, "three quarters of the blocks are dropped before training"),
        ("block", size.block, ""),
    ]  # fmt: skip
    if size.model == "mono":
        sparse.append(("dense_output", True, "the few pdfs are less than two blocks"))
    return [_table("systems.dense", dense), _table("systems.cgs", [*sparse, ("bits", 6, "")])]


def _systems_kws(plan: Plan) -> list[str]:
    task: list[tuple[str, Any, str]] = [("task", "kws", "")]
    outputs = f"403-512-512-{len(plan.options.keywords) + 2}: keywords, other speech, silence"
    dense = [*task, ("method", "dense", ""), ("hidden", [512, 512], outputs), ("bits", 5, "")]
    sparse = [*task, ("method", "cgs", ""), ("hidden", [512, 512], ""), ("density", 0.25, "three quarters of the blocks are dropped before training")]
    return [_table("systems.dense", dense), _table("systems.cgs", [*sparse, ("block", 32, ""), ("dense_output", True, "it is small"), ("bits", 5, "")])]


def _table(name: str, rows: list[tuple[str, Any, str]]) -> str:
    """A TOML table, with the reason of each value behind it."""
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value, _ in rows]
    told = [f"{line:<22}  # {why}" if why else line for line, (*_, why) in zip(lines, rows, strict=True)]
    return "\n".join([f"[{name}]", *told, ""])
