"""Fixed-point formats, the packed file and the integer engine."""
