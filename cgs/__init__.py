"""Coarse-grain sparse speech recognisers and keyword spotters, from a corpus to a chip estimate.

Shape letters used in every docstring of the package:

    N  utterances            T  frames of one utterance     D  feature dimensions
    P  pdfs (tied states)    B  block side, in weights      R, C  block rows and block columns

A block that is not square is B outputs high and B_in inputs wide.

A weight matrix is (n_out, n_in). Time is in seconds, frequency in hertz, energy in joules, power in watts and
area in square metres; prefixes appear only in print.
"""

__version__ = "0.1.0"
