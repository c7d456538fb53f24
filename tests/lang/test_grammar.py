"""G scores sentences as its ARPA file does; stage 2 describes what it made; real text gives the expected perplexity."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import kaldifst
import kaldilm
import pytest

from cgs.base.errors import ConfigError, DataError
from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json, write_text
from cgs.base.options import Recipe
from cgs.base.unit import Unit
from cgs.data.lexicon import Pronunciations, with_silence, write_lexicon
from cgs.lang.arpa import read_arpa
from cgs.lang.external import restrict
from cgs.lang.grammar import grammar_fst, make_grammar, transcript_prediction, write_grammar
from cgs.lang.graph import count_arcs
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.lang import Lang, load_lang, make_lang, read_fst
from cgs.lang.mixing import interpolate
from cgs.lang.pruning import prune
from cgs.stages import lang as stage

from .conftest import LEXICON  # isort: skip

TEXT = [tuple(line.split()) for line in ("NO OAK", "A NO", "AN OAK", "ANNA NO OAK A", "NO", "OAK OAK NO A", "A A AN", "ANNA AN")]


def cost_in_g(lang: Lang, g: kaldifst.StdVectorFst, words: list[str]) -> float:
    """Cost of the best path of a sentence, back-off symbols read as epsilon; interpolated models never gain by backing off needlessly."""
    acceptor = kaldifst.make_linear_acceptor([lang.words[word] for word in words])
    kaldifst.add_self_loops(acceptor, [lang.words["#0"]], [lang.words["#0"]])
    kaldifst.arcsort(acceptor, sort_type="olabel")
    return kaldifst.get_linear_symbol_sequence(kaldifst.shortest_path(kaldifst.compose(acceptor, g)))[3].value


@pytest.mark.parametrize("vocabulary", ["train", "lexicon"])
@pytest.mark.parametrize("order", [1, 2, 3])
def test_g_scores_like_the_model(lang: Lang, vocabulary: str, order: int) -> None:
    model, sizes = make_grammar(lang.directory, lang, TEXT, vocabulary, order)  # type: ignore[arg-type]
    g = read_fst(lang.directory / f"G.{vocabulary}.fst")
    assert sizes["words"] == (5 if vocabulary == "train" else 6) and sizes["states"] == g.num_states
    for words in (["NO", "OAK"], ["A"], [], ["OAK", "ANNA", "A", "A"], ["KNOW", "NO"] if vocabulary == "lexicon" else ["AN"]):
        sentence = (*words, "</s>")
        expected = -math.log(10) * sum(model.log10_of(word, ("<s>", *sentence[:index])) for index, word in enumerate(sentence))
        assert cost_in_g(lang, g, words) == pytest.approx(expected, abs=1e-3)
    assert read_arpa(lang.directory / f"G.{vocabulary}.arpa").order == model.order


def test_unknown_and_silence_words_of_the_text(lang: Lang) -> None:
    model, sizes = make_grammar(lang.directory, lang, [("A", "ZEBRA"), ("<sil>",), ("A", "NO")], "train", 2)
    assert ("<unk>",) in model.log10 and ("<sil>",) not in model.log10
    assert transcript_prediction(model, [("<sil>",), ("A", "LION")]).n_words == 2
    assert sizes["words"] == 3


@pytest.mark.parametrize("order", [1, 2, 4])
def test_g_is_what_arpa2fst_makes(lang: Lang, order: int) -> None:
    make_grammar(lang.directory, lang, [*TEXT, ()], "lexicon", order)
    arpa, ours, theirs = (lang.directory / f"{name}" for name in ("G.lexicon.arpa", "G.lexicon.fst", "theirs.fst"))
    kaldilm.arpa2fst(input_arpa=str(arpa), output_fst=str(theirs), disambig_symbol="#0", read_symbol_table=str(lang.directory / "words.txt"), ilabel_sort=True)
    one, other = read_fst(ours), read_fst(theirs)
    begin = order > 1  # theirs enters the state of <s> by an epsilon arc of its own
    assert (one.num_states + begin, count_arcs(one) + begin) == (other.num_states, count_arcs(other))
    for words in itertools.product(["A", "NO", "KNOW", "OAK"], repeat=3):
        assert cost_in_g(lang, one, list(words)) == pytest.approx(cost_in_g(lang, other, list(words)), abs=1e-4)


def test_g_of_pruned_and_mixed_models_is_what_arpa2fst_makes(lang: Lang) -> None:
    whole, other = train_ngram(TEXT, set(LEXICON), 3), train_ngram([("KNOW", "NO", "KNOW"), ("OAK", "KNOW")], set(LEXICON), 3)
    mixture = interpolate([whole, other], [0.6, 0.4])
    assert prune(whole, 0.003).log10.keys() < whole.log10.keys()
    for model in (prune(whole, 0.003), mixture, prune(mixture, 0.003), restrict(mixture, {"NO", "KNOW", "OAK", "A"})):
        assert model.order == 3
        write_grammar(lang.directory, lang, "train", model)
        arpa, theirs, table = (str(lang.directory / name) for name in ("G.train.arpa", "theirs.fst", "words.txt"))
        kaldilm.arpa2fst(input_arpa=arpa, output_fst=theirs, disambig_symbol="#0", read_symbol_table=table, ilabel_sort=True)
        ours, reference = read_fst(lang.directory / "G.train.fst"), read_fst(Path(theirs))
        for words in itertools.product(["A", "NO", "KNOW", "OAK"], repeat=3):
            assert cost_in_g(lang, ours, list(words)) == pytest.approx(cost_in_g(lang, reference, list(words)), abs=1e-4)


def test_bad_vocabulary_and_word_without_number(lang: Lang) -> None:
    with pytest.raises(ConfigError, match="vocabulary 'all'"):
        make_grammar(lang.directory, lang, TEXT, "all", 2)  # type: ignore[arg-type]
    model, _ = make_grammar(lang.directory, lang, TEXT, "train", 2)
    with pytest.raises(DataError, match="word 'OAK' is not in words.txt"):
        grammar_fst(model, {word: number for word, number in lang.words.items() if word != "OAK"})


def test_position_dependent_lang_groups_variants(tmp_path: Path) -> None:
    make_lang(tmp_path, LEXICON, 0.5, position_dependent=True)
    lang = load_lang(tmp_path)
    sets = [[lang.phone_names[number] for number in numbers] for numbers in lang.phone_sets]
    assert ["a_B", "a_E", "a_I", "a_S"] in sets and sets[:2] == [["SIL"], ["SPN"]]
    assert sorted(number for numbers in lang.phone_sets for number in numbers) == lang.real_phones


def test_stage_2(tmp_path: Path) -> None:
    recipe = Recipe.model_validate(
        {
            "recipe": {"name": "made", "title": "made"},
            "corpus": {"licence": "none", "attribution": "nobody"},
            "lang": {"vocabularies": ["train", "lexicon"]},
            "systems": {"dense": {"task": "asr", "method": "dense", "hidden": [8]}},
        }
    )
    exp = Experiment(tmp_path, recipe)
    with Unit(tmp_path, "1-data", {}, [], []).writing() as out:
        write_lexicon(out / "lexicon.txt", with_silence((word, phones) for word, all_phones in LEXICON.items() for phones in all_phones))
        write_text(out / "lm.txt", "".join(" ".join(words) + "\n" for words in TEXT))
        for split in ("train", "dev", "test", "test_isolated"):
            write_text(out / split / "text", "u1 NO OAK\nu2 <sil>\nu3 KNOW\n")
        write_json(out / "data.json", {"splits": dict.fromkeys(("train", "dev", "test", "test_isolated"), {})})
    stage.run(exp)
    told = read_json(tmp_path / "2-lang" / "lang.json")
    assert told["silence_phone"] == 1 and told["silence_word"] == 1 and told["n_words"] == 8
    assert set(told["vocabularies"]["train"]["prediction"]) == {"dev", "test", "test_isolated"}
    assert told["vocabularies"]["train"]["prediction"]["test"]["oov_rate"] == pytest.approx(1 / 3)
    assert told["vocabularies"]["lexicon"]["prediction"]["test"]["oov_rate"] == 0
    assert load_lang(tmp_path / "2-lang").word_ids(["<sil>", "NO", "ZEBRA"])[::2] == [1, 2]
    assert stage.units(exp)[0].up_to_date()


def test_real_trigram(corpora: Path, tmp_path: Path) -> None:
    root = corpora / "speechocean762"
    lexicon: Pronunciations = {}
    for line in (root / "resource" / "lexicon.txt").read_text().splitlines():
        word, *phones = line.split()
        if tuple(phones) not in lexicon.setdefault(word, []):
            lexicon[word].append(tuple(phones))
    text = {split: [tuple(line.split()[1:]) for line in (root / split / "text").read_text().splitlines()] for split in ("train", "test")}
    make_lang(tmp_path, lexicon, 0.5)
    model, _ = make_grammar(tmp_path, load_lang(tmp_path), text["train"], "train", 3)
    prediction = transcript_prediction(model, text["test"])
    assert prediction.oov_rate == pytest.approx(0.054, abs=0.001)
    assert 60 < (prediction.perplexity or 0) < 90
