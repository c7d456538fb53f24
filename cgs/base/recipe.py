"""Reads a recipe: recipe.toml, then a variant's differences, then --set; all errors are told at once."""

from __future__ import annotations

import difflib
import importlib
import tomllib
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cgs.base.code import ROOT, homes
from cgs.base.errors import ConfigError, ProblemsError
from cgs.base.options import Options, Recipe

RECIPES = ROOT / "recipes"
TEMPLATE = "TEMPLATE"
"""Folder of what a new recipe is copied from; not a recipe itself."""


def recipe_names() -> list[str]:
    """Every recipe of the repository and of CGS_HOME."""
    found = {path.parent.name for home in homes() for path in home.glob("recipes/*/recipe.toml")}
    return sorted(name for name in found if name != TEMPLATE and not name.startswith("."))  # one that is being written lies aside under such a name


def recipe_folder(name: str) -> Path:
    """Folder of a recipe, in the repository or in CGS_HOME; where there is none, the place for it in the repository."""
    return next((home / "recipes" / name for home in homes() if (home / "recipes" / name / "recipe.toml").is_file()), RECIPES / name)


def variant_names(recipe: str) -> list[str]:
    """Every variant of a recipe."""
    return sorted(path.stem for path in (recipe_folder(recipe) / "variants").glob("*.toml"))


def load_recipe(name: str, variant: str = "", changes: list[str] | None = None) -> Recipe:
    """Read and check a recipe as a whole.

    Args:
        name: folder under recipes/, or the path of a recipe.toml elsewhere.
        variant: name of recipes/<name>/variants/<variant>.toml, which holds differences only.
        changes: "a.b=value" with a TOML value (a bare word is taken as text), from --set.
    Raises: ConfigError: no such recipe or variant, or bad TOML. ProblemsError: every bad option, with file, key and remedy.
    """
    path = Path(name) if name.endswith(".toml") else recipe_folder(name) / "recipe.toml"
    if not path.is_file():
        raise ConfigError(f"no recipe {name!r}", did_you_mean(name, recipe_names()) or f"recipes: {', '.join(recipe_names())}")
    tree = read_toml(path)
    origin = {key: shown(path) for key in _keys(tree)}
    if variant:
        variant_path = path.parent / "variants" / f"{variant}.toml"
        if not variant_path.is_file():
            names = sorted(p.stem for p in variant_path.parent.glob("*.toml"))
            raise ConfigError(f"recipe {name!r} has no variant {variant!r}", did_you_mean(variant, names) or f"variants: {', '.join(names) or 'none'}")
        difference = read_toml(variant_path)
        origin |= {key: shown(variant_path) for key in _keys(difference)}
        tree = _merged(tree, difference)
    for change in changes or []:
        difference = _parse_change(change)
        origin |= {key: f"--set {change}" for key in _keys(difference)}
        tree = _merged(tree, difference)
    return _validated(tree, origin, shown(path))


def local_module(recipe: Recipe) -> types.ModuleType:
    """The corpus's own data script, local/<name>.py. Raises: ConfigError: there is none."""
    try:
        return _import_local(recipe.recipe.name)
    except ModuleNotFoundError as error:
        if error.name != f"local.{recipe.recipe.name}":
            raise
        raise ConfigError(f"recipe {recipe.recipe.name!r} has no data script local/{recipe.recipe.name}.py", "write one, see docs/new-corpus.md") from error


def local_options(recipe: Recipe) -> Options:
    """The [local] table as the data script's own, checked options."""
    return local_module(recipe).Options(**recipe.local)


def list_options(model: type[BaseModel] = Recipe, prefix: str = "") -> Iterator[tuple[str, str, str, str]]:
    """Yield (key, type, default, meaning) of every option."""
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        kind = field.annotation
        inner = typing.get_args(kind)
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield from list_options(kind, f"{key}.")
        elif inner and isinstance(inner[-1], type) and issubclass(inner[-1], BaseModel):
            yield from list_options(inner[-1], f"{key}.NAME." if typing.get_origin(kind) is dict else f"{key}[].")
        else:
            default = "required" if field.is_required() else repr(field.default)
            yield key, _type_name(kind), default, field.description or ""


def _import_local(name: str) -> types.ModuleType:
    """Import local/<name>.py of the repository or of CGS_HOME, even one that was written a moment ago."""
    package = importlib.import_module("local")
    for home in homes():
        if str(home / "local") not in package.__path__:
            package.__path__.append(str(home / "local"))
    importlib.invalidate_caches()
    return importlib.import_module(f"local.{name}")


def _validated(tree: dict[str, Any], origin: dict[str, str], main: str) -> Recipe:
    problems: list[str] = []
    recipe = None
    try:
        recipe = Recipe(**tree)
    except ValidationError as error:
        problems += _told(error, origin, main, "", Recipe)
    name = tree.get("recipe", {}).get("name", "") if isinstance(tree.get("recipe"), dict) else ""
    script = isinstance(name, str) and any((home / "local" / f"{name}.py").is_file() for home in homes())
    if name and script and isinstance(tree.get("local", {}), dict):
        local = _import_local(name).Options
        try:
            local(**tree.get("local", {}))
        except ValidationError as error:
            problems += _told(error, origin, main, "local.", local)
    if problems or recipe is None:
        raise ProblemsError(main, problems, ConfigError.exit_code)
    local_module(recipe)
    return recipe


def _told(error: ValidationError, origin: dict[str, str], main: str, prefix: str, model: type[BaseModel]) -> list[str]:
    known = [prefix + key for key, *_ in list_options(model)]
    told = []
    for item in error.errors():
        key = prefix + ".".join(str(part) for part in item["loc"])
        where = next((origin[k] for k in (key, *_parents(key)) if k in origin), main)
        if item["type"] == "extra_forbidden":
            near = difflib.get_close_matches(key, known, n=1)
            told.append(f"{where}: {key}: unknown option ({f'did you mean {near[0]}?' if near else 'see --list-options'})")
        elif item["type"] == "missing":
            told.append(f"{where}: {key}: missing (add it)")
        elif item["type"] == "value_error" and isinstance(item["input"], dict):
            told.append(f"{where}: {f'{key}: ' if key else ''}{item['ctx']['error']}")
        else:
            told.append(f"{where}: {key} = {item['input']!r}: {item['msg']} (see --list-options)")
    return told


def read_toml(path: Path) -> dict[str, Any]:
    """A TOML file as nested dicts. Raises: ConfigError: not TOML."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{shown(path)}: {error}", "mend the TOML") from error


def _parse_change(change: str) -> dict[str, Any]:
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise ConfigError(f"--set {change}: not key=value", "write e.g. --set nn.epochs=3")
    try:
        value: Any = tomllib.loads(f"v = {text}")["v"]
    except tomllib.TOMLDecodeError:
        value = text
    for part in reversed(key.strip().split(".")):
        value = {part: value}
    return value


def _merged(base: dict[str, Any], difference: dict[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in difference.items():
        both = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _merged(merged[key], value) if both else value
    return merged


def _keys(tree: dict[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in tree.items():
        yield prefix + name
        if isinstance(value, dict):
            yield from _keys(value, f"{prefix}{name}.")


def _parents(key: str) -> Iterator[str]:
    while "." in key:
        key = key.rpartition(".")[0]
        yield key


def shown(path: Path) -> str:
    """A path as messages show it: inside the checkout from its root, else whole."""
    path = path.resolve()
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def did_you_mean(name: str, names: list[str]) -> str:
    """The nearest of some names as a question, or "" where none is near."""
    near = difflib.get_close_matches(name, names, n=1)
    return f"did you mean {near[0]!r}?" if near else ""


def _type_name(kind: Any) -> str:
    """An annotation as a person would write it in TOML: "int", "list of float", "dense | cgs"."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _type_name(inner[0])
    if origin is typing.Literal:
        return " | ".join(map(str, inner))
    if origin in (list, tuple):
        return f"list of {_type_name(inner[0])}"
    if origin is not None:
        return " | ".join(_type_name(part) for part in inner if part is not type(None))
    return kind.__name__ if isinstance(kind, type) else str(kind)
