"""Acoustic and keyword networks and their training."""
