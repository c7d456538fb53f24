"""Corpora as Kaldi data directories: utterances, audio, lexicon, text."""
