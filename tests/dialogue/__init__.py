"""Tests of `exporter.dialogue`."""
