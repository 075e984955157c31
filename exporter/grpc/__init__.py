"""gRPC: one unary call over a new HTTP/2 connection, and the messages of the health service. Does no I/O."""
