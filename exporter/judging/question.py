"""Framing shared by the exporter and its judging processes."""

LENGTH_BYTES = 8
"""Bytes of the length prefix of every question and answer."""
