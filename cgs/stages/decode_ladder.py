"""Stage 8's ladder: the test set decoded with the GMM of each step that the aligning model was trained from."""

from __future__ import annotations

import functools
import shutil

from cgs.base.experiment import Experiment
from cgs.base.files import write_json
from cgs.base.units import percent
from cgs.stages.decode_material import PARTS, known_words
from cgs.stages.decode_units import ladder_unit


def decode_step(item: tuple[Experiment, str]) -> str:
    """Choose the weights on dev, decode test with the first vocabulary; returns what it came to, for the console."""
    from cgs.decode.graph import make_graph
    from cgs.decode.recogniser import Recogniser
    from cgs.gmm.adapted import AdaptedFeatures
    from cgs.gmm.checkpoints import STEPS_DIR
    from cgs.gmm.model import AcousticGmm
    from cgs.lang.pieces import language_dir
    from cgs.score.evaluation import read_split, recognise, search_error_rates
    from cgs.score.recognition import IntervalOptions, score_recognition, write_recognition
    from cgs.score.tuning import choose_weights

    exp, step = item
    options, vocabulary = exp.recipe.decode, exp.recipe.lang.vocabularies[0]
    lang, align = exp.root / "2-lang", exp.root / "4-align" / STEPS_DIR / step
    unit = ladder_unit(exp, step)
    with unit.writing() as out:
        (out / PARTS).mkdir(exist_ok=True)
        make_graph(lang, vocabulary, align, out / PARTS)
        model = AcousticGmm.load(align)
        dev, test = (
            read_split(exp.root / "1-data", exp.root / "3-feats", name, "mfcc", "speaker", AdaptedFeatures(model, None, {})) for name in ("dev", "test")
        )

        @functools.lru_cache(maxsize=1)
        def recogniser(penalty: float) -> Recogniser:
            return Recogniser(
                language_dir(lang, vocabulary), align, out / PARTS, options.beam, options.max_active, penalty, exp.recipe.feats.frame_shift
            )

        rates = search_error_rates(dev.sampled(options.max_dev_utterances), model.log_likelihoods, recogniser)
        tuned = choose_weights(options.gmm_acoustic_scales, options.insertion_penalties, rates)
        recognised, _, _ = recognise(test, model.log_likelihoods, recogniser(tuned.insertion_penalty), tuned.acoustic_scale)
        write_recognition(out, "gmm.test", recognised)
        entry = score_recognition(recognised, IntervalOptions.of(exp.recipe), known_words(exp))
        model_size = {"n_pdfs": model.n_pdfs, "n_gaussians": model.gmms.n_gaussians}
        write_json(out / "result.json", {"task": "asr", "engines": {"gmm": {"test": entry}}, "tuned": tuned.to_json(), "model": model_size})
        shutil.rmtree(out / PARTS)
    return f"{unit.name}: WER {percent(entry['wer'])} %"
