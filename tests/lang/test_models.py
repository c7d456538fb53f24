"""Stage 2 with every kind of language model that a recipe can ask for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cgs.base.errors import CorpusError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json, write_text
from cgs.base.options import LangOptions, Recipe
from cgs.base.unit import Unit
from cgs.data.lexicon import with_silence, write_lexicon
from cgs.lang.arpa import read_arpa, write_arpa
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.mixing import interpolate
from cgs.lang.ngram import Ngram
from cgs.lang.pruning import prune
from cgs.stages import lang as stage

from .conftest import LEXICON  # isort: skip

TEXT = [tuple(line.split()) for line in ("NO OAK", "A NO", "AN OAK", "ANNA NO OAK A", "NO", "OAK OAK NO A", "A A AN", "ANNA AN")]
OUTSIDE = [tuple(line.split()) for line in ("a no know", "know no oak", "an oak zebra", "zebra know oak", "know know")]
WORDS = {"A", "AN", "ANNA", "NO", "OAK"}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    """A finished stage 1, and a corpus folder with an ARPA file and a text."""
    corpus, root = tmp_path / "corpus", tmp_path / "exp"
    write_arpa(corpus / "outside.arpa", train_ngram(OUTSIDE, {word for sentence in OUTSIDE for word in sentence}, 2))
    write_text(tmp_path / "more.txt", "".join(" ".join(words) + "\n" for words in OUTSIDE))
    with Unit(root, "0-corpus", {}, [], []).writing() as out:
        write_json(out / "corpus.json", {"root": str(corpus), "digest": "", "given": True})
    with Unit(root, "1-data", {}, ["0-corpus"], []).writing() as out:
        write_lexicon(out / "lexicon.txt", with_silence((word, phones) for word, all_phones in LEXICON.items() for phones in all_phones))
        write_text(out / "lm.txt", "".join(" ".join(words) + "\n" for words in TEXT))
        for split in ("train", "dev", "test"):
            write_text(out / split / "text", "u1 NO OAK\nu2 <sil>\nu3 A KNOW NO\nu4 OAK NO\n")
        write_json(out / "data.json", {"splits": dict.fromkeys(("train", "dev", "test"), {})})
    return root


def run(root: Path, vocabulary: str = "train", **options: Any) -> tuple[Ngram, dict[str, Any], Experiment]:
    recipe = Recipe.model_validate(
        {
            "recipe": {"name": "made", "title": "made"},
            "corpus": {"licence": "none", "attribution": "nobody"},
            "lang": {"vocabularies": [vocabulary], **options},
            "systems": {"dense": {"task": "asr", "method": "dense", "hidden": [8]}},
        }
    )
    exp = Experiment(root, recipe)
    stage.run(exp)
    return read_arpa(root / "2-lang" / f"G.{vocabulary}.arpa"), read_json(root / "2-lang" / "lang.json")["vocabularies"][vocabulary], exp


def assert_same(one: Ngram, other: Ngram) -> None:
    assert one.log10.keys() == other.log10.keys()
    assert all(one.log10[gram] == pytest.approx(other.log10[gram], abs=2e-5) for gram in one.log10)


def test_no_large_model_unless_asked_for(made: Path) -> None:
    model, told, _ = run(made)
    assert_same(model, train_ngram(TEXT, WORDS, 3))
    assert not (made / "2-lang" / "G.train.large.arpa").exists() and told.keys() == {"order", "size", "prediction"}


def test_pruned_for_the_graph_and_whole_beside_it(made: Path) -> None:
    model, told, _ = run(made, prune=0.01, ngram_order=2, large_order=4)
    assert_same(model, prune(train_ngram(TEXT, WORDS, 2), 0.01, train_ngram(TEXT, WORDS, 2, true_counts=True)))
    assert_same(read_arpa(made / "2-lang" / "G.train.large.arpa"), train_ngram(TEXT, WORDS, 4))
    assert told["size"]["2-grams"] < told["unpruned"]["size"]["2-grams"] and told["size"]["arcs"] > 0
    assert told["large"]["order"] == 4 and told["large"]["prediction"]["dev"]["perplexity"] != told["prediction"]["dev"]["perplexity"]


def test_a_file_in_the_corpus_takes_the_place_of_the_text(made: Path) -> None:
    model, told, exp = run(made, arpa="outside.arpa", case="upper", large_order=3, prune=0.05)
    assert {gram[0] for gram in model.log10 if len(gram) == 1} == {"A", "AN", "NO", "OAK", "<s>", "</s>"}
    assert told["external"]["missing"] == ["ANNA"] and told["external"]["n_words"] == 6
    large = read_arpa(made / "2-lang" / "G.train.large.arpa")
    assert large.order == 2 and model.log10.keys() < large.log10.keys()
    (unit,) = stage.units(exp)
    assert unit.up_to_date()
    write_arpa(made.parent / "corpus" / "outside.arpa", train_ngram(OUTSIDE, {"zebra", "more"} | {word for s in OUTSIDE for word in s}, 2))
    assert "files.outside.arpa" in stage.units(exp)[0].why_stale()


def test_mixtures_of_texts_and_files(made: Path) -> None:
    model, told, _ = run(made, "lexicon", arpa="outside.arpa", mix_arpa=True, case="upper", texts=["more.txt"], ngram_order=2)
    weights = told["weights"]
    assert list(weights) == ["lm.txt", "more.txt", "outside.arpa"] and sum(weights.values()) == pytest.approx(1)
    own = train_ngram(TEXT, LEXICON.keys(), 2)
    assert own.log10.keys() < model.log10.keys() and ("KNOW", "NO") in model.log10
    assert not any("ZEBRA" in gram for gram in model.log10)
    assert told["prediction"]["dev"]["oov_rate"] == 0
    alone = run(made, "lexicon", case="upper", ngram_order=2)[1]
    assert told["prediction"]["dev"]["perplexity"] < alone["prediction"]["dev"]["perplexity"]


def test_large_file_beside_a_text_model(made: Path) -> None:
    model, told, _ = run(made, large_arpa=str(made.parent / "corpus" / "outside.arpa"), case="upper", ngram_order=2)
    assert_same(model, train_ngram(TEXT, WORDS, 2))
    assert told["large"]["external"]["n_missing"] == 1 and "external" not in told
    mixed, told, _ = run(made, large_arpa="outside.arpa", case="upper", ngram_order=2, mix_arpa=True)
    large = read_arpa(made / "2-lang" / "G.train.large.arpa")
    parts = [train_ngram(TEXT, WORDS, 2), run(made, arpa="outside.arpa", case="upper")[0]]
    assert_same(large, interpolate(parts, list(told["large"]["weights"].values())))
    assert_same(mixed, model)


def test_what_cannot_be_asked_for(made: Path) -> None:
    with pytest.raises(CorpusError, match=r"none\.arpa: not found as .*corpus/none\.arpa or "):
        run(made, arpa="none.arpa")
    with pytest.raises(ValidationError, match="mix_arpa mixes a file"):
        LangOptions(mix_arpa=True)
    with pytest.raises(ValidationError, match="takes the place of all texts"):
        LangOptions(arpa="a", texts=["b"])
