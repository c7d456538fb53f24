"""Graph search and keyword detection."""
