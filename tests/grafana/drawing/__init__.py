"""Draws dashboards for the README from their queries and a Prometheus' answers, without Grafana."""
