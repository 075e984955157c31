"""Judging what is large in processes that can be given up, so that no answer keeps the event loop.

RE2 and the JSONPath library hold Python's global lock, and a thread can neither be ended nor be limited in memory.
"""
