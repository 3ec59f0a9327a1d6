"""Estimators as files, pickles and copies."""
