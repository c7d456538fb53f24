"""From lexicon and text to L, G and HCLG."""
