"""Resolve names to addresses: hosts file, search domains, queries, the system's resolver on request."""
