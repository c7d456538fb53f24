"""The language models of one vocabulary, as a recipe asks for them: of texts, of files from outside, or mixed; small for the graph, large beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cgs.base.log import LOG
from cgs.base.units import percent
from cgs.data.corpus import SILENCE_WORD, UNKNOWN_WORD
from cgs.data.text import Sentence
from cgs.lang.arpa import write_arpa
from cgs.lang.external import CASES, Case, read_external, restrict
from cgs.lang.grammar import Vocabulary, known_text, model_sizes, transcript_prediction, vocabulary_words, write_grammar
from cgs.lang.kneser_ney import train_ngram
from cgs.lang.lang import Lang
from cgs.lang.mixing import choose_weights, interpolate
from cgs.lang.ngram import Ngram
from cgs.lang.pruning import prune

OWN = "lm.txt"
"""What the corpus's own text is called among the parts of a mixture."""


@dataclass(frozen=True)
class Sources:
    """What models are made from.

    Args:
        text: the corpus's own language-model text.
        dev: transcripts that choose the weights of a mixture.
        texts: further texts by name.
        case: how to write the words of further texts and of files.
        mixed: add files from outside to the models of the texts, instead of taking them in their place.
    """

    text: Sequence[Sentence]
    dev: Sequence[Sentence] = ()
    texts: Mapping[str, Sequence[Sentence]] = field(default_factory=dict)
    case: Case = "keep"
    mixed: bool = False


@dataclass(frozen=True)
class Plan:
    """Which models are wanted.

    Args:
        order: of the n-grams of texts.
        arpa: a file from outside, or None.
        threshold: of entropy pruning; 0 for none.
    """

    order: int
    arpa: Path | None = None
    threshold: float = 0.0


@dataclass(frozen=True)
class Part:
    """One part of a mixture, or the whole of it.

    Args:
        model: what it says of words.
        history: how frequent contexts are in its text; the model itself where nothing else is known.
    """

    model: Ngram
    history: Ngram


def make_models(
    directory: Path, lang: Lang, vocabulary: Vocabulary, sources: Sources, first: Plan, large: Plan | None, tests: Mapping[str, Sequence[Sentence]]
) -> dict[str, Any]:
    """Write G.<vocabulary>.arpa and .fst, and where it is asked for G.<vocabulary>.large.arpa.

    Args:
        directory: where to.
        lang: lexicon and symbols.
        vocabulary: which words.
        sources: texts.
        first: the model of the decoding graph.
        large: the model for rescoring, or None; it is not pruned.
        tests: transcripts whose perplexity is told, by split.
    Returns: order, size, prediction and what is known of the parts of the first model; the same of the large one under "large", and under "unpruned".
    """
    words = vocabulary_words(known_text(sources.text, lang), lang, vocabulary)
    whole, facts = make_model(lang, words, sources, first)
    model = prune(whole.model, first.threshold, whole.history)
    told = _told(model, tests, f"{vocabulary} vocabulary") | facts
    told["size"] = write_grammar(directory, lang, vocabulary, model)
    if first.threshold:
        told["unpruned"] = _told(whole.model, tests, f"{vocabulary} vocabulary, unpruned")
    if large:
        if (large.order, large.arpa) != (first.order, first.arpa):
            whole, facts = make_model(lang, words, sources, large)
        write_arpa(directory / f"G.{vocabulary}.large.arpa", whole.model)
        told["large"] = _told(whole.model, tests, f"{vocabulary} vocabulary, for rescoring") | facts
    return told


def make_model(lang: Lang, words: Set[str], sources: Sources, plan: Plan) -> tuple[Part, dict[str, Any]]:
    """One model over some words, unpruned, and what is known of its parts.

    Args:
        lang: the lexicon.
        words: that it gives probabilities to, as far as its parts know them.
        sources: texts.
        plan: order and file; where it prunes, histories are made too.
    """
    parts: dict[str, Part] = {}
    facts: dict[str, Any] = {}
    if plan.arpa is None or sources.mixed:
        parts[OWN] = of_text(words, known_text(sources.text, lang), plan)
        for name, text in sources.texts.items():
            parts[name] = of_further_text(words, text, sources.case, plan)
    if plan.arpa is not None:
        external = read_external(plan.arpa, words, sources.case)
        parts[plan.arpa.name] = Part(external.model, external.model)
        facts["external"] = {"file": plan.arpa.name, **external.facts()}
        told = f"{len(external.missing)} of {len(words)} words are not in it", f"{percent(external.known_mass)} % of its probability falls on the others"
        LOG.info("  %s: %s; %s", plan.arpa.name, *told)
    if len(parts) == 1:
        return next(iter(parts.values())), facts
    models = [part.model for part in parts.values()]
    weights = choose_weights(models, [[word for word in sentence if word != SILENCE_WORD] for sentence in sources.dev])
    LOG.info("  mixture: %s", ", ".join(f"{weight:.3f} {name}" for name, weight in zip(parts, weights, strict=True)))
    mixture = interpolate(models, weights)
    history = interpolate([part.history for part in parts.values()], weights) if plan.threshold else mixture
    return Part(mixture, history), facts | {"weights": dict(zip(parts, weights, strict=True))}


def of_text(words: Set[str], text: Sequence[Sentence], plan: Plan) -> Part:
    """The model of a text that holds no other words."""
    model = train_ngram(text, words, plan.order)
    return Part(model, train_ngram(text, words, plan.order, true_counts=True) if plan.threshold else model)


def of_further_text(words: Set[str], text: Sequence[Sentence], case: Case, plan: Plan) -> Part:
    """The model of a text that may hold other words: they are <unk> in training, and left out of the model afterwards."""
    known = [tuple(word if word in words else UNKNOWN_WORD for word in map(CASES[case], sentence)) for sentence in text]
    whole, wanted = of_text({*words, UNKNOWN_WORD}, known, plan), words - {UNKNOWN_WORD}
    return Part(restrict(whole.model, wanted), restrict(whole.history, wanted))


def _told(model: Ngram, tests: Mapping[str, Sequence[Sentence]], name: str) -> dict[str, Any]:
    """Order, size and prediction of a model, for lang.json; perplexities are logged too."""
    predictions = {}
    for split, transcripts in tests.items():
        prediction = transcript_prediction(model, transcripts)
        predictions[split] = prediction.as_dict()
        perplexity = "-" if prediction.perplexity is None else f"{prediction.perplexity:.1f}"
        LOG.info("  %s, %s: perplexity %s, %s %% of words unknown", name, split, perplexity, percent(prediction.oov_rate))
    return {"order": model.order, "size": model_sizes(model), "prediction": predictions}
