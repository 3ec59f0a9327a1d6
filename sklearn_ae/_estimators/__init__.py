"""The public classes: each its idea, equation first."""
