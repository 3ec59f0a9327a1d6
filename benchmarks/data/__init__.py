"""The data that questions are asked of."""
