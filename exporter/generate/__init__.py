"""Generates files for Prometheus from the configuration: alert rules of single checks, and scrape jobs."""
