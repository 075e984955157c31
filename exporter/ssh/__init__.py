"""SSH without authentication: a server's identification, the algorithms it offers, and its host key."""
