"""The module, and what is trained."""
