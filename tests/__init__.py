"""The tests; `tests/run` is the one command that runs everything."""
