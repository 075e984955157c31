"""Files for Prometheus made from the configuration: alert rules of single checks, and how the exporter is scraped."""

from exporter.generate.header import with_header
from exporter.generate.rules import Links, alert_rules
from exporter.generate.scraping import Endpoint, Scraping, scrape_jobs

__all__ = ["Endpoint", "Links", "Scraping", "alert_rules", "scrape_jobs", "with_header"]
