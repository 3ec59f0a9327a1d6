"""Pieces of nets."""
