"""Distributions of codes."""
