"""Tests of `exporter.web_config`."""
