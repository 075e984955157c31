"""From YAML to a frozen configuration: nodes with marks, references, expansion, models, expectations, live reload."""

from exporter.config.json_schema import json_schema
from exporter.config.live import LiveConfig
from exporter.config.load import Config, load_config, parse_config
from exporter.config.piped import is_pipe, piped_loader
from exporter.config.problems import Place
from exporter.config.top_level import top_level_keys

__all__ = [
    "Config",
    "LiveConfig",
    "Place",
    "is_pipe",
    "json_schema",
    "load_config",
    "parse_config",
    "piped_loader",
    "top_level_keys",
]
