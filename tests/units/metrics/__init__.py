"""Metrics against hand-made cases, written-out formulas and scikit-learn's own."""
