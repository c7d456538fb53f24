"""Recipes: every error at once, with file, key and remedy; variants and --set are differences."""

from __future__ import annotations

from pathlib import Path

import pytest

import local
from cgs.base.code import code_digest
from cgs.base.errors import ConfigError, ProblemsError
from cgs.base.recipe import list_options, load_recipe, local_options, recipe_names, variant_names


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_and_variant_is_valid(name: str) -> None:
    assert load_recipe(name).recipe.name == name
    for variant in variant_names(name):
        load_recipe(name, variant)


def test_set_overrides_and_keeps_the_rest() -> None:
    plain, changed = load_recipe("fsdd"), load_recipe("fsdd", changes=["nn.epochs=3"])
    assert changed.nn.epochs == 3
    assert changed.model_copy(update={"nn": plain.nn}) == plain


def test_all_errors_at_once_with_origin_and_remedy() -> None:
    changes = ["nn.epochz=3", "decode.beam=-1", "systems.dense.density=0.5", "local.nonsense=1"]
    with pytest.raises(ProblemsError) as caught:
        load_recipe("fsdd", changes=changes)
    told = str(caught.value)
    assert caught.value.exit_code == 2 and "4 problems" in told
    assert "--set nn.epochz=3: nn.epochz: unknown option (did you mean nn.epochs?)" in told
    assert "decode.beam = -1: Input should be greater than 0" in told
    assert "dense system has density 1" in told
    assert "local.nonsense: unknown option" in told


def test_misspelt_recipe_and_variant() -> None:
    with pytest.raises(ConfigError, match=r"no recipe 'fsd' \(did you mean 'fsdd'\?\)"):
        load_recipe("fsd")
    with pytest.raises(ConfigError, match="has no variant 'nothing'"):
        load_recipe("fsdd", "nothing")


def test_bad_set_and_bad_toml(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="--set nn.epochs: not key=value"):
        load_recipe("fsdd", changes=["nn.epochs"])
    bad = tmp_path / "recipe.toml"
    bad.write_text("[recipe\n")
    with pytest.raises(ConfigError, match="mend the TOML"):
        load_recipe(str(bad))


def test_labels_are_those_of_a_system_further_up() -> None:
    again = ["systems.again.task=asr", "systems.again.method=dense", "systems.again.hidden=[8]"]
    assert load_recipe("fsdd", changes=[*again, "systems.again.labels=cgs"]).systems["again"].labels == "cgs"
    for labels in ("again", "kws_dense", "nothing"):
        with pytest.raises(ProblemsError, match=f'systems.again.labels is "{labels}"; a system of task asr may name, in its place, gmm, dense, cgs'):
            load_recipe("fsdd", changes=[*again, f"systems.again.labels={labels}"])
    with pytest.raises(ProblemsError, match="a system of task kws may name, in its place, gmm$"):
        load_recipe("fsdd", changes=["systems.kws_dense.labels=dense"])


def test_every_option_is_explained() -> None:
    assert [key for key, _, _, meaning in list_options() if not meaning] == []


def test_adapted_features_need_the_model_that_adapts() -> None:
    with pytest.raises(ProblemsError, match=r'nn\.features is fmllr but align\.model is tri; set align\.model = "sat"'):
        load_recipe("fsdd", changes=["nn.features=fmllr"])
    with pytest.raises(ProblemsError, match=r"no mel axis; set nn\.mel_warp and nn\.frequency_masks to 0"):
        load_recipe("speechocean762", changes=["nn.mel_warp=0.1"])


def test_recipes_outside_the_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """CGS_HOME adds a folder with recipes/ and local/; a recipe that is still being written is not listed."""
    for name in ("mine_elsewhere", ".half.1.tmp"):
        (tmp_path / "recipes" / name).mkdir(parents=True)
        (tmp_path / "recipes" / name / "recipe.toml").write_text(
            '[recipe]\nname = "mine_elsewhere"\ntitle = "x"\n[corpus]\nlicence = "x"\nattribution = "x"\n'
            '[local]\nmine = 3\n[systems.a]\ntask = "asr"\nmethod = "dense"\nhidden = [8]\n'
        )
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "mine_elsewhere.py").write_text("from cgs.base import options\n\nclass Options(options.Options):\n    mine: int = 1\n")
    monkeypatch.setattr(local, "__path__", list(local.__path__))
    before = recipe_names()
    with pytest.raises(ConfigError, match="no recipe 'mine_elsewhere'"):
        load_recipe("mine_elsewhere")
    monkeypatch.setenv("CGS_HOME", str(tmp_path))
    assert set(recipe_names()) - set(before) == {"mine_elsewhere"}
    recipe = load_recipe("mine_elsewhere")
    assert local_options(recipe).model_dump() == {"mine": 3}
    assert code_digest("local.mine_elsewhere") != code_digest("local.nothing"), "its script counts as code"
