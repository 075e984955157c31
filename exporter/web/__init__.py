"""What serving over HTTP needs besides the routes: reading requests, bounded workers, headers, connection limits."""
