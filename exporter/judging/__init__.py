"""Judges large observations in processes that can be killed, so that no answer blocks the event loop.

RE2 and the JSONPath library hold Python's global lock, and a thread can be neither killed nor limited in memory.
"""
