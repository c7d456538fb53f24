"""One module a stage: options, stamp, calls; no mathematics. Imported by the driver only."""

STAGES = ("corpus", "data", "lang", "feats", "align", "acoustic", "keyword", "pack", "decode", "hardware", "report")
"""Module of each stage; a stage's number is its place here and is the same in every recipe."""
