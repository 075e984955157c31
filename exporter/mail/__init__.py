"""Mail: the dialogues of SMTP, IMAP and POP3 over a measured connection, and the messages they carry.

No client library is used. Client libraries read lines and literals of any length, do not expose the certificate of a
failed handshake, and hide which phase a dialogue is in. A check needs limits on everything that a server sends, and the
duration of each phase.
"""
