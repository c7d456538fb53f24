"""Sweep files: products of lists, names that tell what is shared, and every error at once with its remedy."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from cgs.base.errors import ConfigError, ProblemsError
from cgs.base.experiment import network_of, network_unit, system_unit
from cgs.base.options import PackOptions, Recipe
from cgs.base.recipe import load_recipe, recipe_folder, recipe_names
from cgs.base.sweep import Sweep, read_sweep, values_of

SYSTEMS = {
    "dense": {"task": "asr", "method": "dense", "hidden": [64], "seeds": [1, 2]},
    "cgs": {"task": "asr", "method": "cgs", "hidden": [64], "density": 0.25, "block": 8, "bits": 6, "seeds": [1, 2]},
    "late": {"task": "asr", "method": "cgs", "hidden": [64], "density": 0.25, "block": 8, "labels": "cgs"},
    "spotter": {"task": "kws", "method": "dense", "hidden": [64]},
}
RECIPE = Recipe(recipe={"name": "made", "title": "made"}, corpus={"licence": "none", "attribution": "none"}, systems=SYSTEMS)


def read(tmp_path: Path, text: str) -> Sweep:
    (tmp_path / "some.toml").write_text(text)
    return read_sweep(str(tmp_path / "some.toml"), RECIPE, tmp_path)


def test_points_are_the_product_of_the_lists(tmp_path: Path) -> None:
    sweep = read(tmp_path, '[[points]]\nbase = "cgs"\ndensity = [0.125, 0.25, 0.5]\nblock = [4, 8]\nbits = [3, 6]\nseeds = [1, 3]\n')
    found = {(point.system.density, point.system.block, point.system.bits) for point in sweep.points if point.system}
    assert found == set(itertools.product((0.125, 0.25, 0.5), (4, 8), (3, 6))) and len(sweep.points) == 12
    assert {point.seeds for point in sweep.points} == {(1, 3)} == {tuple(point.system.seeds) for point in sweep.points if point.system}
    assert sweep.axes() == ["density", "block", "bits"] and sweep.title == "some"


def test_names_tell_networks_from_packings(tmp_path: Path) -> None:
    sweep = read(tmp_path, '[[points]]\nbase = "cgs"\ndensity = [0.25, 0.5]\nbits = [4, 6]\nseeds = [1]\n')
    assert [point.name for point in sweep.points] == ["cgs@bits4", "cgs", "cgs-density0.5@bits4", "cgs-density0.5"]
    assert {network_unit("asr", point.name, 1) for point in sweep.points} == {"5-acoustic/cgs/seed1", "5-acoustic/cgs-density0.5/seed1"}
    assert len({system_unit("7-pack", point.name, 1) for point in sweep.points}) == 4
    tuned = read(tmp_path, '[[points]]\nbase = "cgs"\nbits = 4\ntuning_epochs = [0, 4]\nseeds = [1]\n')
    assert [point.name for point in tuned.points] == ["cgs@bits4", "cgs@bits4-tuning_epochs4"]
    by_network: dict[str, list] = {}
    for point in sweep.points:
        assert point.system
        by_network.setdefault(network_of(point.name), []).append(point.system.of_network())
    assert all(options == same[0] for same in by_network.values() for options in same)


def test_every_point_is_made_with_its_own_options(tmp_path: Path) -> None:
    sweep = read(tmp_path, '[[points]]\nbase = "cgs"\ndensity = [0.25, 0.5]\nbits = [4, 6, 3]\nseeds = [2]\n')
    systems = sweep.recipe(RECIPE).systems
    for point in sweep.points:
        made = systems[point.name]
        assert point.system and made.model_copy(update={"seeds": [2]}) == point.system and set(made.seeds) >= {2}, point.name
        assert made.bits == point.options["bits"] and made.of_network() == systems[network_of(point.name)].of_network()


def test_options_that_are_lists_have_axes_of_lists(tmp_path: Path) -> None:
    assert values_of("hidden", [64, 32]) == [[64, 32]] and values_of("hidden", [[64], [32, 32]]) == [[64], [32, 32]]
    assert values_of("offsets", [[-1, 0, 1]]) == [[[-1, 0, 1]]] and values_of("bits", [3, 4]) == [3, 4] and values_of("bits", 3) == [3]
    assert values_of("bits", [[6, 4], [4, 4]]) == [[6, 4], [4, 4]], "a number or a list: a list is an axis, of lists too"
    text = '[[points]]\nbase = "cgs"\nmodel = "tdnn"\nhidden = [[64, 64], [32, 32]]\noffsets = [[[-1, 0, 1], [0]], [[-2, 0, 2], [0]]]\n'
    points = read(tmp_path, text).points
    assert len({point.name for point in points}) == 4 and all(point.system and point.system.model == "tdnn" for point in points)
    assert all("/" not in point.name and len(point.name) < 80 for point in points)


def test_widths_of_blocks_are_an_axis_whose_square_is_the_base(tmp_path: Path) -> None:
    sweep = read(tmp_path, '[[points]]\nbase = "cgs"\nblock = [8, 4]\nblock_in = [0, 16]\n[[points]]\nbase = "cgs"\nbits = 4\n')
    assert [point.name for point in sweep.points] == ["cgs", "cgs-block_in16", "cgs-block4", "cgs-block4-block_in16", "cgs@bits4"]
    assert sweep.axes() == ["block", "block_in", "bits"] and [point.value("block_in") for point in sweep.points] == [0, 16, 0, 16, 0]
    assert "block_in" not in sweep.points[0].options, "as in every experiment that was made before there was a width"
    wide = RECIPE.model_copy(update={"systems": RECIPE.systems | {"wide": RECIPE.systems["cgs"].model_copy(update={"block_in": 16})}})
    (tmp_path / "back.toml").write_text('[[points]]\nbase = "wide"\nblock_in = [0, 16, [16, 8]]\nseeds = [1]\n')
    assert [point.name for point in read_sweep(str(tmp_path / "back.toml"), wide, tmp_path).points] == ["wide-block_in0", "wide", "wide-block_in16x8"]


def test_tables_add_up_and_hold_a_point_once(tmp_path: Path) -> None:
    sweep = read(tmp_path, '[[points]]\nbase = "cgs"\nseeds = [2]\n[[points]]\nbase = "cgs"\nblock = [4, 8]\nseeds = [3]\n[[points]]\nbase = "spotter"\n')
    assert [(point.name, point.seeds) for point in sweep.points] == [("cgs", (2, 3)), ("cgs-block4", (3,)), ("spotter", (1,))]


def test_recipe_of_a_sweep_keeps_what_points_are_compared_with_and_learn_from(tmp_path: Path) -> None:
    sweep = read(tmp_path, '[[points]]\nbase = "late"\nblock = [4]\nbits = [3, 4]\nseeds = [2, 5]\n')
    seeds = {name: system.seeds for name, system in sweep.recipe(RECIPE).systems.items()}
    late = {"late-block4": [2, 5], "late-block4@bits3": [2, 5], "late-block4@bits4": [2, 5]}
    assert seeds == {"dense": [1, 2, 5], "cgs": [1, 2]} | late, "a first seed stays the first"
    assert list(sweep.networks(RECIPE)) == [(name, seed) for name in ("dense", "late-block4@bits3", "late-block4@bits4") for seed in (2, 5)]
    taught = read(tmp_path, '[[points]]\nbase = "late"\nteacher = "cgs"\nseeds = [2, 5]\n').recipe(RECIPE)
    assert {name: system.seeds for name, system in taught.systems.items()} == {"dense": [1, 2, 5], "cgs": [1, 2], "late-teachercgs": [2, 5]}
    assert not sweep.recipe(RECIPE).decode.gmm and sweep.recipe(RECIPE).nn == RECIPE.nn


def test_options_that_exclude_each_other_make_an_impossible_point(tmp_path: Path) -> None:
    points = read(tmp_path, '[[points]]\nbase = "cgs"\nmethod = ["cgs", "dense"]\nbits = 4\n').points
    assert [(point.name, bool(point.system)) for point in points] == [("cgs@bits4", True), ("cgs-methoddense-bits4", False)]
    odd = read(tmp_path, '[[points]]\nbase = "cgs"\nlabels = ["gmm", "spotter"]\nteacher = ["", "dense", "spotter"]\n').points
    assert [bool(point.system) for point in odd] == [True, True, False, False, False, False]
    assert odd[2].problem == 'teacher is "spotter"; it may name, of the systems of task asr, dense, cgs, late'
    assert points[1].problem.startswith("a dense system has density 1") and points[1].options["block"] == 8 and points[1].seeds == (1, 2)


def test_every_error_at_once_with_file_and_remedy(tmp_path: Path) -> None:
    text = 'titel = "x"\n[[points]]\nbase = "cg"\ndensty = 0.5\n[[points]]\nbase = "cgs"\nblock = []\n'
    text += '[[points]]\nbase = "cgs"\nlabel_delay = [4, -1]\ndensity = [0.5, 2]\n'
    with pytest.raises(ProblemsError) as caught:
        read(tmp_path, text + '[[points]]\nblock = 4\n[[points]]\nbase = "cgs"\nlabels = ["gmm", "spoter"]\n')
    told, file = str(caught.value), tmp_path / "some.toml"
    assert caught.value.exit_code == 2 and "8 problems" in told
    assert f"{file}: titel: unknown key (a sweep has title and [[points]])" in told
    assert f"{file}: points 1: base: no system 'cg' in the recipe (did you mean 'cgs'?)" in told
    assert f"{file}: points 1: densty: unknown option (did you mean 'density'?)" in told
    assert f"{file}: points 2: block: an empty list (give a value, or remove it)" in told
    assert f"{file}: points 3: label_delay = -1: Input should be greater than or equal to 0 (see --list-options)" in told
    assert f"{file}: points 3: density = 2: Input should be less than or equal to 1 (see --list-options)" in told
    assert f"{file}: points 4: base: missing (systems: dense, cgs, late, spotter)" in told
    assert f"{file}: points 5: labels = 'spoter': no such system (systems: dense, cgs, late, spotter)" in told


@pytest.mark.parametrize("text", ["", "points = 3\n", '[points]\nbase = "cgs"\n'])
def test_no_points(tmp_path: Path, text: str) -> None:
    with pytest.raises(ProblemsError, match=r"no \[\[points\]\] \(add a table with a base"):
        read(tmp_path, text)


def test_a_sweep_is_found_by_path_and_by_name(tmp_path: Path) -> None:
    folder = recipe_folder("fsdd")
    recipe = load_recipe("fsdd")
    for given in ("density", "density.toml", "sweeps/density.toml", str(folder / "sweeps" / "density.toml")):
        assert read_sweep(given, recipe, folder).name == "density"
    with pytest.raises(ConfigError, match=r"no sweep 'densit' \(did you mean 'density'\?\)"):
        read_sweep("densit", recipe, folder)
    with pytest.raises(ConfigError, match="sweeps of this recipe: none; or give a path"):
        read_sweep("density", recipe, tmp_path)


@pytest.mark.parametrize(("name", "path"), [(n, p) for n in recipe_names() for p in sorted(recipe_folder(n).glob("sweeps/*.toml"))], ids=lambda v: str(v))
def test_every_sweep_of_a_recipe_is_valid(name: str, path: Path) -> None:
    assert all(point.system for point in read_sweep(str(path), load_recipe(name), path.parents[1]).points)


def test_recipes_leave_the_sign_to_sweeps() -> None:
    with pytest.raises(ValueError, match='a name without "@"'):
        Recipe(**(RECIPE.model_dump() | {"systems": {"cgs@bits4": SYSTEMS["cgs"]}}))


def test_one_headline_of_a_task(tmp_path: Path) -> None:
    sweep = read(tmp_path, '[[points]]\nbase = "cgs"\nbits = 4\nheadline = true\n[[points]]\nbase = "cgs"\nblock = [4, 8]\n[[points]]\nbase = "spotter"\n')
    headline = sweep.headline("asr")
    assert headline and headline.name == "cgs@bits4" and sweep.headline("kws") is None
    again = read(tmp_path, '[[points]]\nbase = "cgs"\nseeds = [2]\nheadline = true\n[[points]]\nbase = "cgs"\nblock = [4, 8]\n').headline("asr")
    assert again and again.name == "cgs" and again.seeds == (2, 1), "named again by another table it stays the headline"
    with pytest.raises(ProblemsError, match=r"points 1: headline: one point of a task.*a table of its own"):
        read(tmp_path, '[[points]]\nbase = "cgs"\nbits = [4, 6]\nheadline = true\n')
    with pytest.raises(ProblemsError, match=r"points 2: headline: one point"):
        read(tmp_path, '[[points]]\nbase = "cgs"\nheadline = true\n[[points]]\nbase = "cgs"\nbits = 4\nheadline = true\n')
    with pytest.raises(ProblemsError, match=r"headline = 'yes': give true or false"):
        read(tmp_path, '[[points]]\nbase = "cgs"\nheadline = "yes"\n')


def test_packings_are_axes_of_the_same_networks(tmp_path: Path) -> None:
    mixed = '[[points]]\nbase = "cgs"\nbits = 4\nmixed_bits = 3.0\nmixed_by = ["layer", "block"]\n'
    told = read(tmp_path, mixed + '[[points]]\nbase = "cgs"\nbits = 2\nlevels = "symmetric"\n')
    names = ["cgs@bits4-mixed_bits3.0-mixed_bylayer", "cgs@bits4-mixed_bits3.0-mixed_byblock", "cgs@bits2-levelssymmetric"]
    assert [point.name for point in told.points] == names
    assert told.axes() == ["bits", "mixed_bits", "mixed_by", "levels"]
    packings = [point.system.packing(PackOptions(activation_bits=6)) for point in told.points if point.system]
    assert [(packing.mixed_bits, packing.mixed_by, packing.levels, packing.activation_bits) for packing in packings] == [
        (3.0, "layer", "full", 6), (3.0, "block", "full", 6), (0.0, "layer", "symmetric", 6),
    ]  # fmt: skip
    impossible = read(tmp_path, '[[points]]\nbase = "cgs"\nmixed_by = "block"\n').points[0]
    assert impossible.system is None and "without mixed_bits" in impossible.problem
