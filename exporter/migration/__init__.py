"""Migration from blackbox_exporter: turns its modules and Prometheus' scrape jobs into a checks.yml."""
