"""Serves scrapes: selects checks, runs them in one batch and records the results."""
