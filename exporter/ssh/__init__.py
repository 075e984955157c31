"""SSH without authentication: what a server says first, the algorithms it offers, and its host key."""
