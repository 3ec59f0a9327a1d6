"""Many nets of one shape, trained at once."""
