"""Benchmarks: `python -m bench` from the repository's root; bench/README.md says how to read them."""
