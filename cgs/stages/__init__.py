"""One module a stage: options, stamp, calls; no mathematics."""
