"""Dialogues: steps of what a peer is expected to say and what is sent, spoken over streams and datagrams."""
