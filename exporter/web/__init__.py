"""The HTTP interface: routes and pages, request parsing, bounded workers, headers and connection limits."""
