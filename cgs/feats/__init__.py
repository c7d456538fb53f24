"""Filterbank and MFCC archives, CMVN, splicing."""
