"""One file for each question that the benchmarks answer."""
