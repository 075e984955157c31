"""Mail: the dialogues of SMTP, IMAP and POP3 over a measured connection, and the messages they carry.

The dialogues are the project's own. Client libraries read lines and literals of any length, offer no certificate of a
refused handshake and hide which phase a dialogue is in; a check needs bounds on everything a server sends, the facts of
each phase, and no extra to install.
"""
