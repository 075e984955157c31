"""What the exporter and the processes that judge for it say to each other, besides the questions themselves."""

LENGTH_BYTES = 8
"""Length of the length that precedes every question and every answer."""
