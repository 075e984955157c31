"""The dashboards: one module each, with the JSON generated from it under the same name."""
