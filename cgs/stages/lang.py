"""Stage 2: words, phones and HMM topology, L, and a language model G for each vocabulary of the recipe.

Makes 2-lang/{words.txt,phones.txt,sets.txt,lexicon.txt,lexicon_disambig.txt,topo,L.fst,L_disambig.fst},
G.<vocabulary>.{arpa,fst}, where it is asked for G.<vocabulary>.large.arpa for rescoring, and lang.json: numbers of special
symbols, size of each model, and how well it predicts dev and test. With lang.g2p also guessed.txt, the pronunciations that were
guessed; with the vocabulary "subword" the directory subword, see `cgs.lang.open_vocabulary`."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cgs.base.errors import CorpusError
from cgs.base.experiment import Experiment
from cgs.base.files import file_digest, read_json, write_json
from cgs.base.log import LOG
from cgs.base.unit import Unit

if TYPE_CHECKING:
    from cgs.data.lexicon import Pronunciations
    from cgs.lang.lang import Lang

TITLE = "lexicon and language model"
GUESSED = "guessed.txt"


def units(exp: Experiment) -> list[Unit]:
    """The one unit of this stage."""
    options = {"lang": exp.recipe.lang.model_dump(), "files": _digests(exp)}
    options |= {"data": {"max_oov_fraction": exp.recipe.data.max_oov_fraction}} if exp.recipe.lang.g2p else {}
    return [exp.unit("2-lang", options, inputs=["1-data"], code=["cgs.stages.lang"])]


def run(exp: Experiment) -> None:
    """Make L, then a G for each vocabulary."""
    from cgs.data.lexicon import read_lexicon
    from cgs.data.text import listed, read_sentences
    from cgs.lang.grammar import unknown_words
    from cgs.lang.lang import load_lang, make_lang
    from cgs.lang.pieces import SUBWORD

    (unit,) = units(exp)
    if unit.up_to_date():
        return
    data_dir, options = exp.root / "1-data", exp.recipe.lang
    with unit.writing() as out:
        lexicon, sentences = read_lexicon(data_dir / "lexicon.txt"), read_sentences(data_dir / "lm.txt")
        guessed = _guess(exp, out, lexicon, sentences) if options.g2p else {}
        make_lang(out, lexicon, options.silence_probability, options.position_dependent)
        lang = load_lang(out)
        unknown = unknown_words(sentences, lang)
        if unknown:
            LOG.info("  words of lm.txt outside the lexicon, taken as <unk>: %s", listed(unknown))
        described: dict[str, Any] = {
            "silence_phone": lang.silence_phone,
            "silence_phones": lang.silence_phones,
            "silence_word": lang.silence_word,
            "unknown_word": lang.unknown_word,
            "n_phones": len(lang.real_phones),
            "n_words": len(lang.lexicon),
            "n_unknown_lm_words": sum(unknown.values()),
            "vocabularies": {},
            **guessed,
        }
        for vocabulary in options.vocabularies:
            if vocabulary != SUBWORD:
                described["vocabularies"][vocabulary] = _grammar(exp, out, lang, sentences, vocabulary, data_dir)
        if SUBWORD in options.vocabularies:
            described["vocabularies"][SUBWORD] = _open_vocabulary(exp, lang, lexicon, sentences)
        write_json(out / "lang.json", described)


def _guess(exp: Experiment, out: Path, lexicon: Pronunciations, sentences: list[tuple[str, ...]]) -> dict[str, Any]:
    """Add guessed pronunciations to the lexicon, list them in guessed.txt, and say how many there are."""
    from cgs.data.text import read_transcripts
    from cgs.lang.g2p import complete, write_guesses

    spoken = list(read_transcripts(exp.root / "1-data" / "train" / "text").values())
    guesses, facts = complete(lexicon, [*sentences, *spoken], exp.recipe.data.max_oov_fraction)
    lexicon |= {word: [guess.phones] for word, guess in guesses.items()}
    write_guesses(out / GUESSED, guesses)
    LOG.info("  %d pronunciations guessed, listed in 2-lang/%s", len(guesses), GUESSED)
    return {"g2p": facts}


def _open_vocabulary(exp: Experiment, lang: Lang, lexicon: Pronunciations, sentences: list[tuple[str, ...]]) -> dict[str, Any]:
    """Make 2-lang/subword beside the vocabulary "train"."""
    from cgs.lang.open_vocabulary import make_open_vocabulary

    options = exp.recipe.lang
    settings = options.subword_pieces, options.subword_order, options.silence_probability, options.position_dependent
    sizes = make_open_vocabulary(lang, lexicon, sentences, *settings)
    LOG.info("  subword vocabulary: %d words, any other in %d units of %d pieces", sizes["words"], sizes["units"], sizes["pieces"])
    return {"order": options.subword_order, "size": sizes, "prediction": {}}


def _grammar(exp: Experiment, out: Path, lang: Lang, sentences: list[tuple[str, ...]], vocabulary: Any, data_dir: Path) -> dict[str, Any]:
    """Make the models of one vocabulary."""
    from cgs.data.text import read_sentences, read_transcripts
    from cgs.lang.models import Plan, Sources, make_models

    options = exp.recipe.lang
    splits = [split for split in sorted(read_json(data_dir / "data.json")["splits"]) if split == "dev" or split.startswith("test")]
    tests = {split: list(read_transcripts(data_dir / split / "text").values()) for split in splits}
    texts = {Path(name).name: read_sentences(_found(exp, name)) for name in options.texts}
    sources = Sources(sentences, tests["dev"], texts, options.case, options.mix_arpa)
    first = Plan(options.ngram_order, _found(exp, options.arpa) if options.arpa else None, options.prune)
    large = None
    if options.large_order or options.large_arpa:
        large = Plan(options.large_order or options.ngram_order, _found(exp, options.large_arpa) if options.large_arpa else first.arpa)
    return make_models(out, lang, vocabulary, sources, first, large, tests)


def _places(exp: Experiment, name: str) -> list[Path]:
    """Where a file that the recipe names may lie: in the corpus folder, beside it, where its own path leads."""
    told = exp.root / "0-corpus" / "corpus.json"
    corpus = exp.corpus or (Path(read_json(told)["root"]) if told.exists() else None)
    return [*([corpus / name, corpus.parent / name] if corpus else []), Path(name)]


def _found(exp: Experiment, name: str) -> Path:
    """The file that the recipe names. Raises: CorpusError: it is in none of its places."""
    places = dict.fromkeys(place.absolute() for place in _places(exp, name))
    for place in places:
        if place.is_file():
            return place
    raise CorpusError(f"{name}: not found as {' or '.join(map(str, places))}", "put it there, or name it by its whole path in lang.arpa, large_arpa or texts")


def _digests(exp: Experiment) -> dict[str, str]:
    """Digests of the files that the recipe names; "" for one that is not there yet."""
    options = exp.recipe.lang
    found = {name: [place for place in _places(exp, name) if place.is_file()][:1] for name in (*options.texts, options.arpa, options.large_arpa) if name}
    return {name: _digest(place[0], place[0].stat().st_mtime_ns) if place else "" for name, place in found.items()}


@functools.cache
def _digest(path: Path, changed: int) -> str:
    return file_digest(path)
