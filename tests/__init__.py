"""The tests; `tests/run` runs everything."""
