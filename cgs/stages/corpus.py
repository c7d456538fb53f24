"""Stage 0: the raw corpus, found at --corpus, downloaded with a checksum, or synthesised."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from cgs.base.errors import ConfigError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json
from cgs.base.log import LOG
from cgs.base.recipe import local_module, local_options
from cgs.base.unit import Unit
from cgs.data.layout import check_root, tree_digest

TITLE = "corpus: found, downloaded or synthesised"
NAME = "0-corpus"
STAGE = 0


def units(exp: Experiment) -> list[Unit]:
    """The one unit of this stage; a corpus whose files changed in name or size makes it stale."""
    given, recipe = _given(exp), exp.recipe
    code = ["cgs.stages.corpus"]
    options: dict[str, Any] = {"corpus": str(given or "")}
    if given:
        options["digest"] = tree_digest(given)
    elif recipe.corpus.download:
        options["download"] = [download.checksum for download in recipe.corpus.download]
    else:
        options |= {"seed": recipe.recipe.seed, "local": local_options(recipe).model_dump()}
        code.append(f"local.{recipe.recipe.name}")
    return [exp.unit(NAME, options, [], code)]


def run(exp: Experiment) -> None:
    """Find, fetch or make the raw corpus and check its layout.

    Raises: ConfigError: no --corpus, and nothing to download or to synthesise. CorpusError: a tree in another layout, or no network.
    """
    given, recipe = _given(exp), exp.recipe
    local, options = local_module(recipe), local_options(recipe)
    if given:
        check_root(given, "give the corpus's own folder with --corpus DIR")
        local.check_layout(given, options)
    unit = units(exp)[0]
    if unit.up_to_date():
        return
    if not given and not recipe.corpus.download and not hasattr(local, "synthesise"):
        raise ConfigError(
            f"recipe {recipe.recipe.name} needs a corpus: give --corpus DIR",
            f"recipes/{recipe.recipe.name}/README.md says where to get it",
        )
    with unit.writing() as out:
        if given:
            root = given
            digest = unit.options["digest"]
        else:
            made = _downloaded(exp, out) if recipe.corpus.download else _synthesised(exp, out)
            local.check_layout(made, options)
            root, digest = unit.path / made.relative_to(out), tree_digest(made)
        write_json(out / "corpus.json", {"root": str(root), "digest": digest, "given": bool(given)})
    LOG.info("  corpus: %s", root)


def _given(exp: Experiment) -> Path | None:
    """The corpus of --corpus or, where it is left out, of the earlier run of this experiment."""
    if exp.corpus:
        return exp.corpus.absolute()
    earlier = exp.root / NAME / "corpus.json"
    if earlier.exists():
        told = read_json(earlier)
        if told.get("given"):
            return Path(told["root"])
    return None


def _downloaded(exp: Experiment, out: Path) -> Path:
    from cgs.data.download import fetch, unpack

    root = out / "raw"
    downloads = exp.recipe.corpus.download
    for download in sorted(downloads, key=lambda download: not download.unpack):  # plain files last: their place is only known then
        archive = fetch(download, out / "archives")
        if download.unpack:
            LOG.info("  unpacking %s", archive.name)
            root = unpack(archive, out / "raw")
        else:
            root.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(archive, root / archive.name)
    shutil.rmtree(out / "archives")
    return root


def _synthesised(exp: Experiment, out: Path) -> Path:
    local_module(exp.recipe).synthesise(out / "raw", local_options(exp.recipe), exp.recipe.recipe.seed, exp.n_jobs, exp.log_dir(STAGE))
    return out / "raw"
