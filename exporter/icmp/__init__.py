"""ICMP echo on sockets that all checks of a batch share: packets, sockets, matching of replies, statistics."""
