"""Real servers for the tests: Debian's own where one exists, small scripted ones where a peer must misbehave."""
