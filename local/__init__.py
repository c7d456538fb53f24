"""One data script a corpus: the only code that knows it."""
