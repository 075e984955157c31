"""Dialogues: steps that expect something from a peer or send something to it, over streams and datagrams."""
