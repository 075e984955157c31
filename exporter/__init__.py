"""nyxmon-exporter: synthetic checks, run when Prometheus scrapes."""

__version__ = "0.1.0"
