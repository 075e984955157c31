"""What Prometheus, Alertmanager and Grafana need to work with the exporter; the dashboards are written from here."""
