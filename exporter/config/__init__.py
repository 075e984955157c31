"""YAML to a frozen configuration: nodes with marks, references, expansion, models, expectations."""
