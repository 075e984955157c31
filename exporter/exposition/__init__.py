"""Converts results to the pages that Prometheus reads: metric families, series, labels and formats."""
