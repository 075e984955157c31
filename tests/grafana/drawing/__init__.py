"""Draws dashboards for the README: their queries, a Prometheus' answers, lines drawn by hand. No Grafana is in it."""
