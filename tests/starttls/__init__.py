"""Tests of `exporter.starttls`."""
