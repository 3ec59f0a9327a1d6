"""The contract: what every public estimator promises, checked from one table."""
