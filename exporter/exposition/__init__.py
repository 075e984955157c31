"""Converts results to the text that Prometheus reads: metric families, series, labels and formats."""
