"""Stage 2: words, phones and HMM topology, L, and a language model G for each vocabulary of the recipe.

Makes 2-lang/{words.txt,phones.txt,sets.txt,lexicon.txt,lexicon_disambig.txt,topo,L.fst,L_disambig.fst},
G.<vocabulary>.{arpa,fst} and lang.json: numbers of special symbols, size of each G, and how well it predicts dev and test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cgs.base.experiment import Experiment
from cgs.base.files import read_json, write_json
from cgs.base.log import LOG
from cgs.base.unit import Unit
from cgs.base.units import percent

TITLE = "lexicon and language model"


def units(exp: Experiment) -> list[Unit]:
    """The one unit of this stage."""
    return [exp.unit("2-lang", {"lang": exp.recipe.lang.model_dump()}, inputs=["1-data"], code=["cgs.stages.lang"])]


def run(exp: Experiment) -> None:
    """Make L, then a G for each vocabulary."""
    from cgs.data.lexicon import read_lexicon
    from cgs.data.text import listed, read_sentences
    from cgs.lang.grammar import unknown_words
    from cgs.lang.lang import load_lang, make_lang

    (unit,) = units(exp)
    if unit.up_to_date():
        return
    data_dir, options = exp.root / "1-data", exp.recipe.lang
    with unit.writing() as out:
        make_lang(out, read_lexicon(data_dir / "lexicon.txt"), options.silence_probability, options.position_dependent)
        lang = load_lang(out)
        sentences = read_sentences(data_dir / "lm.txt")
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
        }
        for vocabulary in options.vocabularies:
            described["vocabularies"][vocabulary] = _grammar(exp, out, lang, sentences, vocabulary, data_dir)
        write_json(out / "lang.json", described)


def _grammar(exp: Experiment, out: Path, lang: Any, sentences: list[tuple[str, ...]], vocabulary: Any, data_dir: Path) -> dict[str, Any]:
    from cgs.data.text import read_transcripts
    from cgs.lang.grammar import make_grammar, transcript_prediction

    model, sizes = make_grammar(out, lang, sentences, vocabulary, exp.recipe.lang.ngram_order)
    predictions = {}
    for split in sorted(read_json(data_dir / "data.json")["splits"]):
        if split == "dev" or split.startswith("test"):
            prediction = transcript_prediction(model, read_transcripts(data_dir / split / "text").values())
            predictions[split] = prediction.as_dict()
            perplexity = "-" if prediction.perplexity is None else f"{prediction.perplexity:.1f}"
            LOG.info("  %s vocabulary, %s: perplexity %s, %s %% of words unknown", vocabulary, split, perplexity, percent(prediction.oov_rate))
    return {"order": model.order, "size": sizes, "prediction": predictions}
