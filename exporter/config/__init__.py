"""From YAML to a frozen configuration: nodes with marks, references, expansion, models, expectations, live reload."""

from exporter.config.json_schema import json_schema
from exporter.config.live import LiveConfig
from exporter.config.load import Config, load_config, parse_config

__all__ = ["Config", "LiveConfig", "json_schema", "load_config", "parse_config"]
