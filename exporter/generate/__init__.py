"""Generates files for Prometheus from the configuration: alert rules of single checks, and scrape jobs."""

from exporter.generate.header import with_header
from exporter.generate.rules import Links, alert_rules
from exporter.generate.scraping import Endpoint, Scraping, scrape_jobs

__all__ = ["Endpoint", "Links", "Scraping", "alert_rules", "scrape_jobs", "with_header"]
