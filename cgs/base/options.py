"""Every option of a recipe: its name, type, default, bounds and meaning, in one place."""

from __future__ import annotations

import operator
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from cgs.base.units import block_size

Positive = Annotated[int, Field(gt=0)]
BlockWidth = Annotated[int, Field(ge=0)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Scale = Annotated[float, Field(gt=0)]
Volts = Annotated[float, Field(ge=0.3, le=1.5)]
Share = Annotated[float, Field(gt=0, le=1)]
Method = Literal[
    "dense", "small", "cgs", "hcgs", "guided", "guided_gradient", "block_magnitude", "group_lasso", "dynamic", "magnitude", "nm", "mpd", "lowrank"
]
BLOCK_METHODS = ("guided", "guided_gradient", "block_magnitude", "group_lasso", "dynamic")
"""Methods that choose whole blocks in training."""
CAN_BE_UNBALANCED = ("cgs", "guided", "guided_gradient", "block_magnitude", "group_lasso")
"""Methods whose blocks may lie anywhere in a matrix."""
OWN_PACKING = {
    "tuning_epochs": "epochs", "tuning_rate": "learning_rate", "activation_bits": "activation_bits", "mixed_bits": "mixed_bits", "mixed_by": "mixed_by",
    "levels": "levels",
}  # fmt: skip
"""Options of a system that stand in for those of [pack], by their names there."""
CELLS_TOGETHER = 8
"""Cells of an LSTM whose h shares a word of the engine's memory, which one of the frame's inputs may not share."""
Seed = Annotated[int, Field(ge=0, lt=2**63)]
SEQUENCE_GRADIENT_NORM = 5.0
"""Longest gradient of a step of sequence training, where the recipe does not say: one odd utterance must not undo a network."""
Offset = Annotated[int, Field(ge=-127, le=127)]
UNSTAMPED = {"processes", "tensorboard"}
"""Training options that say how, not what: changing them makes nothing out of date."""


def each(value: Any, n: int) -> list[Any]:
    """A value for each of n weight matrices: the list that is given, or n times the one value."""
    return list(value) if isinstance(value, list | tuple) else [value] * n


class Options(BaseModel):
    """A group of options; unknown names are errors, and values never change after reading."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)


class Download(Options):
    """One file that stage 0 fetches for users with a network."""

    url: str = Field(description="where the archive is")
    sha256: str | None = Field(None, pattern="^[0-9a-f]{64}$", description="checksum of the archive")
    md5: str | None = Field(None, pattern="^[0-9a-f]{32}$", description="weaker checksum, where no other is published; n_bytes is checked beside it")
    n_bytes: Positive | None = Field(None, description="size of the archive, in bytes, where it is known")
    unpack: bool = Field(True, description="false for a plain file, which is put into the corpus's root")

    @property
    def checksum(self) -> str:
        """SHA-256, or MD5 where that is all there is."""
        return self.sha256 or self.md5 or ""

    @model_validator(mode="after")
    def _can_be_checked(self) -> Download:
        if (self.sha256 is None) == (self.md5 is None):
            raise ValueError(f"{self.url}: give sha256, or md5 where its publisher states no other")
        if self.md5 is not None and self.n_bytes is None:
            raise ValueError(f"{self.url}: md5 alone is too weak; give n_bytes too")
        return self


class RecipeOptions(Options):
    name: str = Field(pattern="^[a-z0-9_]+$", description="name of the recipe, of its folder and of its data script local/<name>.py")
    title: str = Field(description="one line on the corpus, for the report")
    seed: Seed = Field(0, description="seed of everything that is drawn at random, except a system's own seeds")


class CorpusOptions(Options):
    licence: str = Field(description="licence of the corpus")
    attribution: str = Field(description="who made it, for the report")
    download: list[Download] = Field(default=[], description="archives to fetch when --corpus is not given")


class DataOptions(Options):
    sample_rate: Positive = Field(16000, description="samples per second of every recording; anything else is an error unless data.resample")
    resample: bool = Field(False, description="resample recordings of another rate (torchaudio) instead of refusing them")
    max_oov_fraction: Fraction = Field(0.0, description="words of the training text missing from the lexicon, at most")
    max_bad_fraction: Fraction = Field(0.0, description="utterances that may be dropped for a stated reason (empty, nothing but zeros, too short), at most")


class LangOptions(Options):
    ngram_order: int = Field(3, ge=1, le=5, description="order of the language model")
    vocabularies: list[Literal["train", "lexicon", "subword"]] = Field(
        ["train"],
        min_length=1,
        description="words the recogniser knows: those of the training text, of the whole lexicon, or those of the text and any word spelled in pieces "
        "(subword, beside train); the first is the main condition",
    )
    subword_pieces: Positive = Field(100, description="sentencepiece pieces, single letters among them, that words outside the training text are spelled in")
    subword_order: int = Field(4, ge=2, le=8, description="order of the model of spellings")
    g2p: bool = Field(False, description="guess pronunciations of the training words that the lexicon lacks, by a model learnt from the lexicon")
    texts: list[str] = Field(
        [], description="further texts, a sentence a line, in the corpus folder, beside it or by path; a model of each is mixed in, weights chosen on dev"
    )
    arpa: str = Field("", description="ARPA file, gzip or not, in the corpus folder, beside it or by path, in place of a model of the corpus's text")
    mix_arpa: bool = Field(False, description="mix such files with the models of the texts, by weights chosen on dev, instead")
    case: Literal["keep", "lower", "upper"] = Field("keep", description="how to write the words of lang.texts, lang.arpa and lang.large_arpa")
    prune: float = Field(
        0.0, ge=0, lt=1, description="the graph's model loses n-grams whose loss lets perplexity grow by less than this share, e.g. 1e-7; 0 loses none"
    )
    large_order: int = Field(0, ge=0, le=5, description="order of an unpruned model for rescoring, G.<vocabulary>.large.arpa; 0 makes none")
    large_arpa: str = Field("", description="ARPA file for that model, as lang.arpa")
    silence_probability: float = Field(0.5, gt=0, lt=1, description="probability of silence between words")
    position_dependent: bool = Field(False, description="mark phones by their place in the word, as Kaldi does")

    @model_validator(mode="after")
    def _sources_fit(self) -> LangOptions:
        if "subword" in self.vocabularies and "train" not in self.vocabularies:
            raise ValueError('vocabularies holds "subword", which adds spelled words to those of the text, but not "train"; list both')
        if self.mix_arpa and not (self.arpa or self.large_arpa):
            raise ValueError("mix_arpa mixes a file with the texts, but there is none; set arpa or large_arpa")
        if self.arpa and self.texts and not self.mix_arpa:
            raise ValueError("arpa takes the place of all texts; leave out texts, or set mix_arpa = true")
        return self


class NoiseOptions(Options):
    noises: list[str] = Field(
        default=[], description="noise recordings: files, or folders of any depth; absolute, or from the corpus's root. None: no copies in noise"
    )
    rooms: list[str] = Field(default=[], description="impulse responses of rooms, named alike, one channel each. None: no copies in rooms")
    copies: Positive = Field(1, description="copies of each training utterance in noise or rooms, at its own speed or one of feats.speeds")
    snr_db: tuple[float, float] = Field((5.0, 20.0), description="lowest and highest signal-to-noise ratio, dB")
    room_fraction: Fraction = Field(0.5, description="share of the copies in noise that are in a room too; without noises all are")

    @model_validator(mode="after")
    def _ordered(self) -> NoiseOptions:
        if self.snr_db[0] > self.snr_db[1]:
            raise ValueError(f"snr_db = {list(self.snr_db)}: the first must not be above the second")
        return self

    @property
    def wanted(self) -> bool:
        """True where copies are to be made."""
        return bool(self.noises or self.rooms)


class FeatsOptions(Options):
    frame_shift: float = Field(0.01, gt=0, description="s")
    frame_length: float = Field(0.025, gt=0, description="s")
    low_hz: float = Field(20.0, ge=0, description="lower edge of the mel filters, Hz")
    high_hz: float = Field(0.0, description="upper edge, Hz; 0 or less counts down from half the sample rate")
    n_ceps: int = Field(13, ge=2, description="MFCC coefficients, for alignment and keywords")
    n_mfcc_mels: Positive = Field(23, description="mel filters under the MFCC")
    n_mels: Positive = Field(40, description="log-mel filters, for acoustic networks")
    speeds: list[Annotated[float, Field(ge=0.5, le=2)]] = Field(
        default=[], description="copies of the training split, played at these speeds, for acoustic networks: e.g. [0.9, 1.1]"
    )
    rate: Literal["none", "speaker"] = Field(
        "none", description="speaker: frames closer in fast and further apart in slow speech, by how fast a speaker's cepstra change; for acoustic networks"
    )
    dither: float = Field(0.0, ge=0, description="noise added to the samples, in 16-bit steps; 0 keeps features deterministic")
    noise: NoiseOptions = NoiseOptions()


class AlignOptions(Options):
    mono_iterations: Positive = Field(30, description="passes of monophone training")
    mono_gaussians: Positive = Field(1000, description="Gaussians of the monophone model")
    model: Literal["mono", "tri", "lda_mllt", "sat"] = Field(
        "tri",
        description="last step of the ladder: monophones; triphones of MFCC with derivatives; of MFCC through LDA+MLLT; of those, adapted to speakers by fMLLR",
    )
    tri_iterations: Positive = Field(25, description="passes of each step of triphones")
    n_leaves: Positive = Field(500, description="leaves of each decision tree, at most: the pdfs of the system")
    tri_gaussians: Positive = Field(4000, description="Gaussians of each triphone model")
    lda_context: Positive = Field(4, description="frames on either side that LDA sees")
    lda_dim: Positive = Field(40, description="dimensions that LDA keeps")
    beam: float = Field(10.0, gt=0, description="alignment beam")
    retry_beam: float = Field(40.0, gt=0, description="beam of the second try of an utterance that found no path")
    max_failed_fraction: Fraction = Field(0.02, description="utterances that may fail to align, at most")


class TrainOptions(Options):
    epochs: Positive = Field(10, description="passes over the training frames")
    minibatch: Positive = Field(256, description="frames a step")
    chunk_frames: Positive = Field(100, description="frames of a chunk of an utterance, at most: what networks of sequences (tdnn, lstm) learn from")
    minibatch_chunks: Positive = Field(16, description="chunks a step of such a network, in place of minibatch")
    warmup_frames: int = Field(20, ge=0, description="frames that an LSTM hears before the first one of a chunk")
    learning_rate: float = Field(1e-3, gt=0, description="of the first epoch (Adam)")
    min_learning_rate: float = Field(1e-5, gt=0, description="the cosine schedule ends here")
    sparse_rate: float = Field(0.75, ge=0, le=2, description="power of 1 / density by which a sparse matrix, or of inputs / rank by which a second factor, "
        "learns faster than the others; 0: as fast")
    dropout: float = Field(0.1, ge=0, lt=1, description="of hidden outputs during training")
    weight_decay: float = Field(0.0, ge=0, description="decoupled weight decay")
    max_gradient_norm: float = Field(0.0, ge=0, description="gradients of a step are scaled down to this norm; 0 leaves them alone")
    matmul: Literal["float32", "bfloat16", "autocast"] = Field(
        "bfloat16",
        description="products of a training step; bfloat16 rounds their factors, sums in float32, and is used where the processor has it; "
        "autocast keeps what lies between them in bfloat16 too, as bfloat16 does on a GPU",
    )
    held_out_fraction: float = Field(0.05, gt=0, lt=0.5, description="training speakers or, where they are few, utterances kept aside to choose the best epoch")
    patience: Positive = Field(5, description="epochs without a better held-out loss before training stops")
    average: int = Field(0, ge=0, description="also try the mean of the weights of this many last epochs, kept where it is better on held-out frames")
    processes: Positive = Field(1, description="processes that train each network together, with --device cuda on a GPU each; results differ by rounding")
    tensorboard: bool = Field(False, description="write curves for TensorBoard into log/*/tensorboard")
    left_context: int = Field(5, ge=0, description="frames before the current one in the input of a feed-forward network; others have systems.NAME.offsets")
    right_context: int = Field(5, ge=0, description="frames after it")
    mel_warp: float = Field(0.0, ge=0, lt=0.5, description="each utterance's mel axis is stretched by up to this fraction, drawn anew each epoch")
    frequency_masks: int = Field(0, ge=0, description="bands of an utterance set to its mean, drawn anew each epoch (SpecAugment)")
    frequency_mask_bins: Positive = Field(6, description="widest such band")
    time_masks: float = Field(
        0.0, ge=0, description="spans of time set to the mean for every 100 frames of an utterance, drawn anew each epoch; any features (SpecAugment)"
    )
    time_mask_frames: Positive = Field(8, description="longest such span; one that is longer than the context hides everything but the prior")
    gain: float = Field(0.0, ge=0, description="constant added to all log-mel values or to c0 of an utterance, drawn from +- this")


class SequenceOptions(Options):
    """Training on after cross-entropy, by lattice-free maximum mutual information."""

    epochs: int = Field(0, ge=0, description="passes over whole utterances; 0 for none")
    learning_rate: float = Field(1e-4, gt=0, description="of the first of them")
    acoustic_scale: Scale = Field(0.3, description="weight of the log-likelihoods against the phone trigrams of the training alignments")
    cross_entropy: float = Field(0.1, ge=0, description="weight of the frames' cross-entropy beside it, against overfitting")


class NnOptions(TrainOptions):
    """Acoustic networks."""

    features: Literal["fbank", "mfcc", "fmllr"] = Field(
        "fbank",
        description="log-mel energies, the MFCC of the alignment, or what the speaker-adapted GMM sees (align.model = sat), at the price of two more decodings",
    )
    cmvn: Literal["speaker", "global", "running"] = Field(
        "speaker", description="mean and variance taken off log-mel energies: each speaker's, the training split's, or of the last 6 s, for streams"
    )
    sequence: SequenceOptions = SequenceOptions()

    def for_sequences(self) -> NnOptions:
        """These options for the training on after cross-entropy: its own epochs and learning rate, falling to a fiftieth."""
        epochs, rate = max(1, self.sequence.epochs), self.sequence.learning_rate
        changes: dict[str, Any] = {"epochs": epochs, "patience": epochs, "learning_rate": rate, "min_learning_rate": rate / 50}
        return self.model_copy(update=changes | {"max_gradient_norm": self.max_gradient_norm or SEQUENCE_GRADIENT_NORM})


class KwsOptions(TrainOptions):
    """Keyword networks and what turns their posteriors into detections."""

    left_context: int = Field(20, ge=0, description="frames before the current one: 20 + 1 + 10 = 31 frames x 13 = 403 inputs")
    right_context: int = Field(10, ge=0, description="frames after it")
    min_keyword_overlap: float = Field(0.5, gt=0, le=1, description="share of a keyword's frames after which its label starts")
    frame_stride: Positive = Field(1, description="train on every n-th frame of other speech and silence")
    smooth_frames: Positive = Field(30, description="w_smooth of Chen, Parada and Heigold 2014")
    window_frames: Positive = Field(100, description="w_max of Chen, Parada and Heigold 2014")


class SystemOptions(Options):
    task: Literal["asr", "kws"] = Field(description="acoustic (asr) or keyword (kws) network")
    model: Literal["feedforward", "tdnn", "lstm"] = Field("feedforward", description="kind of network; docs/acoustic-models.md says how they differ")
    method: Method = Field(
        description="dense: fully connected; cgs: coarse-grain sparse; hcgs: on two levels; guided, guided_gradient, block_magnitude, group_lasso, dynamic, "
        "magnitude, nm, mpd: rivals that choose by other means, see docs/methods.md; lowrank: each matrix a product of two factors, with as many weights as "
        "the density leaves; small: dense, narrower, with as many"
    )
    hidden: list[Positive] = Field(min_length=1, description="widths of the hidden layers; cells of each layer of an LSTM")
    offsets: list[list[Offset]] = Field(
        [], description="tdnn: frames that each hidden layer sees of the one below, e.g. [[-2, -1, 0, 1, 2], [-1, 0, 1], [-3, 0, 3]]; lstm: those of the input"
    )
    label_delay: int = Field(5, ge=0, description="lstm: frames that are heard before a frame is named")
    labels: str = Field("gmm", description="asr: whose alignment it learns from, the GMM's or that of an asr system further up, by its first seed")
    teacher: str = Field("", description="a system of this task further up whose posteriors it learns from too: of the same seed, or of its first")
    teacher_weight: Fraction = Field(0.5, description="of these, against the labels")
    start_from: str = Field(
        "",
        exclude_if=operator.not_,
        description="a dense system of this task further up, of the same shape, whose trained weights this one's networks begin with in place of random "
        "ones: what is dropped is dropped after training; of the same seed, or of its first",
    )
    density: Share | list[Share] = Field(1.0, description="share of the weights kept, one for all matrices or a list of one for each; 1 for dense")
    block: Positive | list[Positive] = Field(1, description="outputs of a block, the side of a square one, likewise; 1 where there are none; M of nm")
    block_in: BlockWidth | list[BlockWidth] = Field(
        0, exclude_if=operator.not_, description="inputs of a block, likewise; 0: square. block = 16 and block_in = 64 are blocks of 16 outputs x 64 inputs"
    )
    coarse: Positive | list[Positive] = Field(1, description="hcgs: side of a block of the upper level, likewise")
    coarse_density: float = Field(0.0, ge=0, le=1, description="hcgs: share of those kept; 0: the square root of the density")
    balanced: bool = Field(
        True,
        exclude_if=bool,
        description="as many blocks in every block row; false: blocks anywhere in the matrix (cgs, and what chooses blocks but dynamic), for comparison",
    )
    dense_input: bool = Field(False, description="keep the first layer dense")
    dense_output: bool = Field(False, description="keep the output layer dense, e.g. the 12 outputs of a keyword network")
    dropout: float | None = Field(None, ge=0, lt=1, description="of this system's networks, in place of nn.dropout or kws.dropout")
    bits: int | list[int] = Field(6, description="bits of a packed weight, 2 to 8; a list has one for each layer, the output layer's last; both factors of a "
        "matrix have the same, and so have both matrices of an LSTM's layer")
    tuning_epochs: int = Field(0, ge=0, description="passes of this system's fine-tuning, in place of pack.epochs: few bits want more; 0: as there")
    tuning_rate: float = Field(0.0, ge=0, description="its learning rate, in place of pack.learning_rate; 0: as there")
    activation_bits: int = Field(0, ge=0, le=16, exclude_if=operator.not_, description="in place of pack.activation_bits; 0: as there")
    mixed_bits: float = Field(0.0, ge=0, le=8, exclude_if=operator.not_, description="in place of pack.mixed_bits; 0: as there")
    mixed_by: Literal["", "layer", "block"] = Field("", exclude_if=operator.not_, description="in place of pack.mixed_by; empty: as there")
    levels: Literal["", "full", "symmetric"] = Field("", exclude_if=operator.not_, description="in place of pack.levels; empty: as there")
    seeds: list[Seed] = Field([1], min_length=1, description="one network, and one row of the results, for each")

    @model_validator(mode="after")
    def _method_fits(self) -> SystemOptions:
        densities, heights, widths = (set(value) if isinstance(value, list) else {value} for value in (self.density, self.block, self.block_in))
        unblocked = ("dense", "small", "magnitude", "mpd", "lowrank")
        if widths != {0} and self.method in (*unblocked, "nm"):
            raise ValueError(f"block_in for a {self.method} system, which {'groups weights of a row' if self.method == 'nm' else 'has no blocks'}; remove it")
        if self.method == "dense" and (densities != {1} or heights != {1}):
            raise ValueError("a dense system has density 1 and block 1; set method = \"cgs\" or remove them")
        if self.method != "dense" and (densities == {1} or (self.method in unblocked) != (heights == {1} and widths <= {0, 1})):
            raise ValueError(f"a {self.method} system needs density below 1 and {'no block' if self.method in unblocked else 'block of at least 2'}")
        if (self.method == "hcgs") != (self.coarse != 1) or (self.coarse_density and self.method != "hcgs"):
            raise ValueError("a system has coarse blocks if, and only if, its method is hcgs; set coarse to a multiple of block, e.g. 64")
        if self.method == "small" and (isinstance(self.density, list) or self.model == "lstm"):
            raise ValueError("a small system needs one density, and is no LSTM")
        if self.model == "lstm" and self.method not in ("dense", "cgs", "hcgs", *BLOCK_METHODS):
            raise ValueError(f"method {self.method} is for feedforward and tdnn networks; choose cgs, or another model")
        if not self.balanced and (self.method not in CAN_BE_UNBALANCED or self.model == "lstm"):
            raise ValueError(f"balanced = false is for {', '.join(CAN_BE_UNBALANCED)} of feedforward and tdnn networks; remove it")
        if self.start_from and (self.method in ("small", "dynamic", "mpd") or not self.balanced and self.method == "cgs"):
            told = self.method if self.balanced else "cgs with balanced = false"
            raise ValueError(f"start_from for a {told} system, whose first weights are its own; remove it, or choose a method that prunes")
        n_matrices = (2 if self.model == "lstm" else 1) * len(self.hidden) + 1
        for name in ("density", "block", "block_in", "coarse"):
            value = getattr(self, name)
            if isinstance(value, list) and len(value) != n_matrices:
                raise ValueError(f"{name} of {len(value)} matrices where the network has {n_matrices}")
        if len(set(self.seeds)) != len(self.seeds):
            raise ValueError(f"seeds {self.seeds} hold a seed twice")
        return self

    @model_validator(mode="after")
    def _model_fits(self) -> SystemOptions:
        wanted = {"feedforward": 0, "tdnn": len(self.hidden), "lstm": min(1, len(self.offsets))}[self.model]
        if len(self.offsets) != wanted:
            remedy = {"feedforward": "nn.left_context and nn.right_context say what it sees", "tdnn": "give one list for each hidden layer",
                      "lstm": "give one, for the input, or none"}[self.model]
            raise ValueError(f"offsets of {len(self.offsets)} layers for a {self.model} network of {len(self.hidden)} hidden layers; {remedy}")
        for frames in self.offsets:
            if not frames or any(b <= a for a, b in zip(frames, frames[1:], strict=False)) or frames[0] > 0 or frames[-1] < 0:
                raise ValueError(f"offsets {frames}: list frames in rising order, from 0 or before to 0 or after, e.g. [-1, 0, 1]")
        if self.model == "lstm" and any(n % CELLS_TOGETHER for n in self.hidden):
            raise ValueError(f"hidden = {self.hidden}: {CELLS_TOGETHER} cells of an LSTM share a word of memory; give multiples of {CELLS_TOGETHER}")
        if "label_delay" in self.model_fields_set and self.model != "lstm":
            raise ValueError(f'label_delay belongs to an LSTM, not to a {self.model} network; remove it or set model = "lstm"')
        return self

    @model_validator(mode="after")
    def _bits_fit(self) -> SystemOptions:
        if not all(2 <= bits <= 8 for bits in self.bits_by_layer):
            raise ValueError(f"bits = {self.bits}: a packed weight has 2 to 8")
        if isinstance(self.bits, list) and len(self.bits) != self.n_layers:
            layers = f"{len(self.hidden)} hidden layers and an output layer"
            raise ValueError(f"bits of {len(self.bits)} layers for a network of {self.n_layers} ({layers}); give as many, or one number")
        return self

    @model_validator(mode="after")
    def _cells_fit(self) -> SystemOptions:
        if self.model != "lstm" or self.method == "dense":
            return self
        parts = zip(*(each(option, 2 * len(self.hidden) + 1) for option in (self.density, self.block, self.block_in)), strict=True)
        sides = [{(block, block_in or block)} if density < 1 else set() for density, block, block_in in parts]
        sides[0] = set() if self.dense_input else sides[0]
        for number, (of_w, of_u, n_cells) in enumerate(zip(sides[:-1:2], sides[1::2], self.hidden, strict=True), start=1):
            if len(of_w | of_u) > 1 or any(n_cells % block_in for _, block_in in of_w | of_u):
                told = " and ".join(block_size(*blocks) for blocks in sorted(of_w | of_u))
                raise ValueError(f"layer {number} of {n_cells} cells with blocks {told}: its two matrices are packed as one, so give both the same blocks, "
                                 "and it a number of cells that is a multiple of a block's inputs")
        return self

    @property
    def n_layers(self) -> int:
        """Layers that have bits of their own."""
        return len(self.hidden) + 1

    @property
    def bits_by_layer(self) -> list[int]:
        """Bits of a packed weight of each layer."""
        return each(self.bits, self.n_layers)

    def of_network(self) -> dict[str, Any]:
        """What a trained network of this system follows from: neither its packing nor what other kinds of networks have."""
        others = {"feedforward": {"model", "offsets", "label_delay"}, "tdnn": {"label_delay"}, "lstm": set()}[self.model]
        return self.model_dump(exclude={"seeds", "bits", *OWN_PACKING} | others)

    def packing(self, options: PackOptions) -> PackOptions:
        """The packing options of a recipe, with what this system names itself."""
        return PackOptions(**dict(options) | {name: value for own, name in OWN_PACKING.items() if (value := getattr(self, own))})

    @property
    def learns_from(self) -> list[str]:
        """The systems whose trained networks this one's are trained with."""
        return [*dict.fromkeys(name for name in (self.teacher, self.start_from) if name)]

    def can_start_from(self, other: SystemOptions) -> bool:
        """True where `start_from` may name that system: dense, of this shape, and learning from no other."""
        alike = all(getattr(self, option) == getattr(other, option) for option in ("model", "hidden", "offsets", "label_delay"))
        return alike and other.method == "dense" and not other.learns_from

    @property
    def unread(self) -> set[str]:
        """Training options that this kind of network does not read."""
        frames, chunks = {"minibatch", "left_context", "right_context"}, {"chunk_frames", "minibatch_chunks", "warmup_frames"}
        return {"feedforward": chunks, "tdnn": frames | {"warmup_frames"}, "lstm": frames}[self.model]


class PackOptions(Options):
    activation_bits: int = Field(8, ge=4, le=16, description="bits of inputs and hidden outputs")
    bias_bits: int = Field(16, ge=8, le=32, description="bits of a bias")
    epochs: int = Field(1, ge=0, description="passes of quantisation-aware fine-tuning")
    learning_rate: float = Field(1e-4, gt=0, description="of the fine-tuning")
    mixed_bits: float = Field(
        0.0, ge=0, le=8, description="mean bits of a weight to come down to, from the system's, where it costs least loss (mixed_by: of what); 0 leaves them"
    )
    mixed_by: Literal["layer", "block"] = Field(
        "layer",
        exclude_if="layer".__eq__,
        description="what mixed_bits takes bits from: whole layers, or single blocks of block-sparse layers, which then have two precisions",
    )
    levels: Literal["full", "symmetric"] = Field(
        "full", description="values of a weight: all that its bits can hold, or as many negative as positive ones; symmetric 2 bits are ternary: -1, 0, 1"
    )
    storage: Literal["plain", "smallest"] = Field(
        "plain", description="how the file holds weights; smallest: each layer plain, by bitmap, entropy-coded, or in two precisions"
    )

    @model_validator(mode="after")
    def _mixed_bits_can_be_reached(self) -> PackOptions:
        if 0 < self.mixed_bits < 2:
            raise ValueError(f"mixed_bits = {self.mixed_bits:g}: a weight has at least 2 bits; give 2 to 8, or 0 to leave every layer the system's bits")
        if self.mixed_by == "block" and not self.mixed_bits:
            raise ValueError('mixed_by = "block" without mixed_bits: say how few bits a weight shall have on average, e.g. mixed_bits = 4')
        return self

    @property
    def file_storage(self) -> Literal["plain", "mixed", "smallest"]:
        """How a packed file holds weights; see `PackedModel`."""
        return "mixed" if self.storage == "plain" and self.mixed_by == "block" else self.storage


class DecodeOptions(Options):
    beam: float = Field(13.0, gt=0, description="search beam")
    max_active: Positive = Field(5000, description="active states a frame, at most")
    acoustic_scales: list[Scale] = Field(
        [0.05, 0.07, 0.1, 0.14, 0.2], min_length=1, description="network likelihood weights tried on dev; the language-model weight is the reciprocal"
    )
    gmm_acoustic_scales: list[Scale] = Field([0.05, 0.07, 0.1], min_length=1, description="the same for the GMM")
    insertion_penalties: list[float] = Field([0.0], min_length=1, description="costs a word tried on dev")
    spelling_costs: list[float] = Field([0.0], min_length=1, description="costs of a word spelled in pieces (subword), beside its probability, tried on dev")
    max_dev_utterances: int = Field(0, ge=0, description="dev utterances used for that choice; 0 means all")
    adaptation_scale: Scale = Field(0.07, description="likelihood weight in the decodings that fMLLR is estimated from (align.model = sat)")
    rate_exponent: float = Field(
        0.0,
        ge=0,
        le=4,
        description="likelihoods of a speaker weigh (usual phone length / the speaker's) to this power more, against words inserted in slow and "
        "lost in fast speech; 1 makes every phone the same evidence (align.model = sat)",
    )
    lattice_beam: float = Field(
        0.0, ge=0, description="0: the best path only; above 0: lattices of the word sequences up to this much worse, to choose weights in and for confidences"
    )
    n_best: int = Field(0, ge=0, description="write that many word sequences of each lattice, best first, to *.nbest; 0 for none")
    mbr: bool = Field(False, description="take the words of least expected errors in the lattice (minimum Bayes risk) in place of the best path")
    gmm: bool = Field(True, description="also decode with the GMM, as a row beside the networks")
    ladder: bool = Field(False, description="and with the models that it was trained from, step by step: mono, tri, lda_mllt")

    @model_validator(mode="after")
    def _mbr_has_lattices(self) -> DecodeOptions:
        for name in ("mbr", "n_best"):
            if getattr(self, name) and not self.lattice_beam:
                raise ValueError(f"decode.{name} needs lattices; set decode.lattice_beam, e.g. to 6")
        return self


class HardwareOptions(Options):
    frames_per_s: float = Field(100.0, gt=0, description="real-time rate of the front end, Hz")
    n_macs: Positive = Field(8, description="shared multiply-accumulate units that work in parallel")
    nodes: list[Literal["40nm", "65nm"]] = Field(["40nm", "65nm"], min_length=1, description="technologies")
    supply_v: list[Volts] = Field([0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2], min_length=1, description="supplies of the table, V")
    reference_supply_v: Volts = Field(0.6, description="supply of the rows in results.json, V")
    simulate_frames: int = Field(
        0,
        ge=0,
        exclude_if=operator.not_,
        description="frames of the test split, at most, that the engine's RTL computes in stage 9 with Verilator, to be compared bit by bit; 0: none",
    )


class ReportOptions(Options):
    unit: Literal["word", "phone", "character"] = Field(
        "word", description="what a word of the transcripts is, which names the error rate in tables: WER, PER or CER"
    )
    bootstrap: Positive = Field(1000, description="resamplings of each interval")
    confidence: float = Field(0.95, gt=0, lt=1, description="of each interval")


class Recipe(Options):
    """A whole recipe.toml."""

    recipe: RecipeOptions
    corpus: CorpusOptions
    data: DataOptions = DataOptions()
    local: dict[str, Any] = Field(default={}, description="options of the corpus's own data script, checked by its Options class")
    lang: LangOptions = LangOptions()
    feats: FeatsOptions = FeatsOptions()
    align: AlignOptions = AlignOptions()
    nn: NnOptions = NnOptions()
    kws: KwsOptions = KwsOptions()
    systems: dict[str, SystemOptions] = Field(min_length=1, description="a table [systems.NAME] for each row of the results")
    pack: PackOptions = PackOptions()
    decode: DecodeOptions = DecodeOptions()
    hardware: HardwareOptions = HardwareOptions()
    report: ReportOptions = ReportOptions()

    @model_validator(mode="after")
    def _features_fit(self) -> Recipe:
        if self.nn.features == "fmllr" and self.align.model != "sat":
            raise ValueError(f'nn.features is fmllr but align.model is {self.align.model}; set align.model = "sat" or nn.features = "fbank"')
        if self.nn.features != "fbank" and (self.nn.mel_warp or self.nn.frequency_masks):
            raise ValueError(f"nn.features is {self.nn.features}, which has no mel axis; set nn.mel_warp and nn.frequency_masks to 0")
        if self.decode.rate_exponent and self.align.model != "sat":
            raise ValueError(f"decode.rate_exponent needs the speakers' rates, which only align.model = \"sat\" finds, not {self.align.model}")
        if self.feats.rate != "none" and any(system.task == "kws" for system in self.systems.values()):
            raise ValueError('feats.rate = "speaker" needs to have heard the speaker, whom a detector (task = "kws") meets for the first time; leave it out')
        if self.nn.features == "fmllr" and self.nn.cmvn != "speaker":
            raise ValueError(f"nn.features is fmllr, which rests on each speaker's mean and variance, but nn.cmvn is {self.nn.cmvn}; leave nn.cmvn out")
        return self

    @model_validator(mode="after")
    def _names_are_plain(self) -> Recipe:
        for name in self.systems:
            if "@" in name or "/" in name:
                raise ValueError(f'systems."{name}": a name without "@", which the points of sweeps have, and without "/" is needed')
        return self

    @model_validator(mode="after")
    def _packings_fit(self) -> Recipe:
        for name, system in self.systems.items():
            try:
                system.packing(self.pack)
            except ValidationError as error:
                raise ValueError(f"systems.{name}: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from error
        return self

    @model_validator(mode="after")
    def _labels_are_there(self) -> Recipe:
        earlier: dict[str, list[str]] = {"asr": [], "kws": []}
        for name, system in self.systems.items():
            known = ["gmm", *earlier["asr"]] if system.task == "asr" else ["gmm"]
            if system.labels not in known:
                raise ValueError(f'systems.{name}.labels is "{system.labels}"; a system of task {system.task} may name, in its place, {", ".join(known)}')
            if system.teacher and system.teacher not in earlier[system.task]:
                known = earlier[system.task] or ["none, for it is the first"]
                raise ValueError(f'systems.{name}.teacher is "{system.teacher}"; it may name, of the systems of task {system.task}, {", ".join(known)}')
            if system.teacher and (sources := self.systems[system.teacher].learns_from):
                told = "has a teacher itself" if self.systems[system.teacher].teacher else "starts from another itself"
                raise ValueError(f"systems.{name}.teacher is {system.teacher}, which {told}; name {sources[0]}")
            if system.teacher and self.systems[system.teacher].model != system.model:
                raise ValueError(f"systems.{name}.teacher is a {self.systems[system.teacher].model} network, which sees other inputs than a {system.model}")
            starts = [other for other in earlier[system.task] if system.can_start_from(self.systems[other])]
            if system.start_from and system.start_from not in starts:
                told = f'start_from is "{system.start_from}"; it may name, of the untaught dense systems of its shape further up'
                raise ValueError(f"systems.{name}.{told}, {', '.join(starts) or 'none'}")
            earlier[system.task].append(name)
        return self

    def baseline(self, task: str) -> str | None:
        """The system that others of a task are compared with, the first dense one; None where there is none."""
        return next((name for name, system in self.systems.items() if system.task == task and system.method == "dense"), None)

    def has_task(self, task: str) -> bool:
        """True where some system has this task, "asr" or "kws"."""
        return any(system.task == task for system in self.systems.values())
