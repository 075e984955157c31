"""The way over from blackbox_exporter: its modules and the scrape jobs of Prometheus become a checks.yml."""
