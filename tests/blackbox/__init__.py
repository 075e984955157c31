"""Tests of the modules of blackbox_exporter and of their probes."""
