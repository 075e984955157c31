"""The dashboards, one module each; beside it, under the same name, the JSON that Grafana reads."""
