"""Benchmarks: one question per file, run as ``python -m benchmarks``."""
