"""run.sh --new: a corpus in a common shape becomes a recipe and a data script, and the user is told what is in it."""

from __future__ import annotations

import contextlib
import importlib.util
import keyword
import os
import re
import shutil
import tomllib
from pathlib import Path

from cgs.base.code import ROOT, homes
from cgs.base.errors import ConfigError, CorpusError, DataError, DiskError
from cgs.base.files import ASIDE_SUFFIX, disk_errors, write_text
from cgs.base.options import Recipe
from cgs.cli.new_text import Plan, readme_text, recipe_text, script_text
from cgs.data.corpus import SILENCE_WORD
from cgs.data.graphemes import letters_of, read_pronunciations
from cgs.data.import_choices import data_options, keywords_for, with_draw
from cgs.data.import_tables import manifest_files, manifests_in
from cgs.data.imports import SHAPES, Options, Shape, read, shapes_of, split_rule, splits_of
from cgs.data.layout import check_root
from cgs.data.lexicon import Pronunciations
from cgs.data.survey import Survey, everyone, report, survey
from cgs.data.validate import MOST_PROBLEMS

NAME = re.compile(r"[a-z][a-z0-9_]*")
MARK = re.compile(r"<[^<>]+>|\[[^][]+\]|\([^()]+\)|\{[^{}]+\}")
FEW_SECONDS = 300.0
LONG_SECONDS = 30.0
MANY_PHONES = 150


def new_recipe(name: str, source: Path, shape: str, lexicon: Path | None, dry_run: bool) -> int:
    """Make recipes/<name>/ and local/<name>.py, in CGS_HOME where that is set.

    Args:
        name: of the recipe.
        source: the corpus, or its one manifest.
        shape: one of SHAPES, or "" to tell it from the files.
        lexicon: pronunciations; None makes each letter a phone.
        dry_run: look at the corpus only.
    Returns: 0, or the code of data that stage 1 will refuse.
    Raises: ConfigError: a bad or taken name. CorpusError, DataError, ProblemsError: nothing that could be read; nothing is written.
    """
    home = homes()[-1]
    check_name(name, home)
    root, options = _shape_of(source, shape)
    plan = make_plan(name, root, options, lexicon)
    if not dry_run:
        write_recipe(plan, home, lexicon)
    _tell(plan, root, lexicon, home, dry_run)
    return DataError.exit_code if plan.found.problems else 0


def check_name(name: str, home: Path) -> None:
    """Raises: ConfigError: not a name for a recipe, or one that is taken."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise ConfigError(f"--new {name}: not a name for a recipe", "use small letters, digits and _, beginning with a letter")
    for folder in dict.fromkeys((home, ROOT)):
        for path in (folder / "recipes" / name, folder / "local" / f"{name}.py"):
            if path.exists():
                raise ConfigError(f"--new {name}: {path} exists", "choose another name, or remove it")
    if importlib.util.find_spec("local") and importlib.util.find_spec(f"local.{name}"):
        raise ConfigError(f"--new {name}: local.{name} is taken", "choose another name")


def make_plan(name: str, root: Path, options: Options, lexicon: Path | None) -> Plan:
    """Read and survey the corpus, and choose options for it. Raises: see `new_recipe`."""
    items = read(root, options)
    options = with_draw(items, options)
    if lexicon:
        options = options.model_copy(update={"lexicon": str(lexicon.absolute())})
    splits = splits_of(items, options)
    pronunciations: Pronunciations = {}
    if lexicon:
        pronunciations, _ = read_pronunciations(lexicon)
    else:
        pronunciations = {word: [letters_of(word)] for utterance in everyone(splits) for word in utterance.words if word != SILENCE_WORD}
    found = survey(splits, pronunciations)
    changes: dict[str, object] = {"unseen_speakers": found.speakers_known and not any(found.shared_speakers().values())}
    if options.shape == "folders":
        changes["keywords"] = keywords_for(splits["train"])
    if lexicon:
        changes["lexicon"] = f"recipes/{name}/lexicon.txt"
    marks = tuple(match[0] for item in items if item.text.strip() != SILENCE_WORD and (match := MARK.search(item.text)))
    return Plan(name, options.model_copy(update=changes), data_options(found, lexicon is not None), found, split_rule(items, options), marks)


def write_recipe(plan: Plan, home: Path, lexicon: Path | None) -> None:
    """Write everything aside and rename it: there is a whole recipe or none.

    Raises: ConfigError: somebody took the name meanwhile. DiskError: no space or no permission.
    """
    try:
        _write_recipe(plan, home, lexicon)
    except DiskError as error:
        raise DiskError(error.message, "free some space, or name another place in CGS_HOME") from error


def _write_recipe(plan: Plan, home: Path, lexicon: Path | None) -> None:
    text = recipe_text(plan)
    Options(**Recipe(**tomllib.loads(text)).local)
    folder, script = home / "recipes" / plan.name, home / "local" / f"{plan.name}.py"
    aside = folder.with_name(f".{plan.name}.{os.getpid()}{ASIDE_SUFFIX}")
    with disk_errors(folder):
        try:
            write_text(aside / "recipe.toml", text)
            write_text(aside / "README.md", readme_text(plan))
            if lexicon:
                shutil.copyfile(lexicon, aside / "lexicon.txt")
            script.parent.mkdir(parents=True, exist_ok=True)
            if script.exists() or folder.exists():
                raise ConfigError(f"--new {plan.name}: made by another run meanwhile", "choose another name")
            write_text(script, script_text(plan))
            try:
                os.rename(aside, folder)
            except BaseException:
                script.unlink(missing_ok=True)
                raise
        finally:
            with contextlib.suppress(FileNotFoundError):
                shutil.rmtree(aside)


def _shape_of(source: Path, wanted: str) -> tuple[Path, Options]:
    """The corpus's root, and options with its shape; says which it is."""
    if source.is_file():
        if wanted not in ("", "manifest"):
            raise ConfigError(f"--from {source} is a file, --shape {wanted} is a folder", "give the folder, or leave --shape out")
        print(f"shape: manifest, {SHAPES['manifest']}: {source.name}")
        return source.parent.resolve(), Options(shape="manifest", manifest=source.name)
    check_root(source, "give the corpus's own folder, or its manifest, with --from")
    root = source.resolve()
    found = shapes_of(root)
    if not found and not wanted:
        raise _no_shape(root)
    shape = _shape(wanted) if wanted else found[0]
    files = f": {', '.join(str(path.relative_to(root)) for path in manifest_files(root))}" if shape == "manifest" else ""
    others = [other for other in found if other != shape]
    too = f" (looks like {', '.join(others)} too: --shape forces one)" if others else ""
    print(f"shape: {shape}, {SHAPES[shape]}{files}{too}")
    return root, Options(shape=shape)


def _no_shape(root: Path) -> CorpusError:
    several = [path.name for path in manifests_in(root)]
    if several:
        return CorpusError(f"{root}: several manifests, none named by its split: {', '.join(several)}", "give one of them with --from")
    return CorpusError(f"{root}: none of the shapes that are read: {'; '.join(SHAPES.values())}", "see docs/new-corpus.md")


def _shape(name: str) -> Shape:
    return next(shape for shape in SHAPES if shape == name)


def _tell(plan: Plan, root: Path, lexicon: Path | None, home: Path, dry_run: bool) -> None:
    print("\n".join(report(plan.found)))
    print(f"splits: {plan.split}")
    problems = plan.found.problems
    for problem in problems[:MOST_PROBLEMS]:
        print(f"problem: {problem}")
    if len(problems) > MOST_PROBLEMS:
        print(f"problem: and {len(problems) - MOST_PROBLEMS} more")
    for number, line in enumerate(decisions(plan, lexicon), start=1):
        print(f"to decide {number}: {line}")
    if dry_run:
        print("nothing written (--dry-run)")
        return
    print(f"written: {home / 'recipes' / plan.name} and {home / 'local' / plan.name}.py")
    print(f"next: ./run.sh --recipe {plan.name} --corpus {root} --stop-stage 1")


def decisions(plan: Plan, lexicon: Path | None) -> list[str]:
    """What only the user can decide, most urgent first."""
    found, options = plan.found, plan.options
    told = []
    if found.problems:
        told.append("mend the problems above, or name the utterances in local.leave_out: stage 1 refuses them")
    if found.empty and not plan.data.max_bad_fraction:
        told.append(f"{len(found.empty)} utterances lack a transcript, hold nothing but zeros, or are too short: mend them, or raise data.max_bad_fraction")
    if lexicon and found.missing and not plan.data.max_oov_fraction:
        told.append(f"{len(found.missing)} words are missing from {lexicon}: add them, or raise data.max_oov_fraction")
    told += _about_splits(found, options)
    numbers = sum(any(char.isdigit() for word in u.words for char in word) for u in everyone(found.splits))
    if numbers:
        told.append(f"{numbers} transcripts hold digits: write them as they are said")
    if plan.marks:
        what = f"{len(plan.marks)} transcripts hold brackets, e.g. {plan.marks[0]}, read as words that are said"
        told.append(f"{what}: change them in local/{plan.name}.py if they are not")
    if not options.lexicon and found.n_phones > MANY_PHONES:
        told.append(f"{found.n_phones} letters as phones are too many to train well: give pronunciations with --lexicon")
    longest = max(found.seconds.values(), default=0.0)
    if longest > LONG_SECONDS:
        told.append(f"the longest utterance lasts {longest:.0f} s: cut those over {LONG_SECONDS:.0f} s, alignment may fail")
    if plan.ladder[0] == "sat":
        told.append('networks adapt to each speaker, so all of a speaker is heard before a word is final: set nn.features = "fbank" if yours will be a stream')
    if plan.data.resample:
        told.append(f"recordings are converted to {plan.data.sample_rate} Hz: change data.sample_rate if most of the speech at test will be otherwise")
    told.append(f"licence and attribution: fill them in, in recipes/{plan.name}/recipe.toml")
    return told


def _about_splits(found: Survey, options: Options) -> list[str]:
    told = []
    shared = sorted({speaker for names in found.shared_speakers().values() for speaker in names})
    if shared:
        told.append(f"{len(shared)} speakers are in training and in dev or test: split by speaker, or read the results as those of known voices")
    elif not found.speakers_known:
        told.append("no speakers are known: each utterance counts as one; name them in the corpus, or with local.speaker_pattern and local.split_by")
    homes_of = {u.id: split for split, utterances in found.splits.items() for u in utterances}
    crossing = sum(len({homes_of[name] for name in group}) > 1 for group in found.same_audio)
    if crossing:
        told.append(f"{crossing} recordings are in two splits under different names: remove one of each")
    if found.same_audio and crossing < len(found.same_audio):
        told.append(f"{len(found.same_audio) - crossing} recordings are there twice within a split: remove one of each")
    if not options.keywords:
        both = [split for split, count in found.shared_sentences().items() if 2 * count > len(found.splits[split]) > 0]
        told += [f"most sentences of {' and '.join(both)} are in train too: the language model knows them, so WER will be low"] if both else []
    short = [split for split in found.splits if split != "train" and found.split_seconds(split) < FEW_SECONDS]
    if short:
        told.append(f"{', '.join(short)}: under {FEW_SECONDS / 60:.0f} minutes, so intervals will be wide")
    return told
