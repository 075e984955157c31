"""HTTP/1.1, 2 and 3 on top of `exporter.net`: requests, responses, redirects, persistent connections."""
