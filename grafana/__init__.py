"""Configuration for Prometheus, Alertmanager and Grafana, and the code that generates the dashboards."""
