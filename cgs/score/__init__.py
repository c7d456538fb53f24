"""WER, SER, ROC and intervals."""
