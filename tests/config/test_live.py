"""The configuration in force: replaced by a good one, kept when the new one is bad."""

from __future__ import annotations

import resource
from functools import partial
from typing import TYPE_CHECKING

import pytest

from exporter.config import LiveConfig, load_config
from exporter.errors import ConfigError
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from pathlib import Path

TYPES = ExecutorRegistry.with_builtins().check_types


def live(file: Path) -> LiveConfig:
    load = partial(load_config, file, TYPES)
    return LiveConfig(load, load())


def write_checks(file: Path, *names: str) -> None:
    checks = (f"  - {{name: {name}, type: tcp, target: 'host.example:1'}}\n" for name in names)
    file.write_text("checks:\n" + "".join(checks))


def names_of(config: LiveConfig) -> list[str]:
    return [check.name for check in config.current.checks]


def test_a_reload_puts_the_new_file_in_force(tmp_path: Path) -> None:
    """After a reload, the content of the file counts."""
    write_checks(tmp_path / "checks.yml", "old")
    config = live(tmp_path / "checks.yml")
    before = config.last_reload_success_timestamp_seconds
    write_checks(tmp_path / "checks.yml", "new", "newer")
    config.reload()
    assert names_of(config) == ["new", "newer"]
    assert config.last_reload_successful
    assert config.last_reload_success_timestamp_seconds >= before


def test_a_bad_file_leaves_the_old_one_in_force(tmp_path: Path) -> None:
    """A rejected configuration is reported, and changes nothing but the facts about the last reload."""
    write_checks(tmp_path / "checks.yml", "old")
    config = live(tmp_path / "checks.yml")
    before = config.last_reload_success_timestamp_seconds
    (tmp_path / "checks.yml").write_text("checks: 5\n")
    with pytest.raises(ConfigError):
        config.reload()
    assert names_of(config) == ["old"]
    assert not config.last_reload_successful
    assert config.last_reload_success_timestamp_seconds == before


def test_a_rejected_file_is_loaded_again_only_after_a_change(tmp_path: Path) -> None:
    """Polling for changes does not repeat the same error, and notices when the file is corrected."""
    write_checks(tmp_path / "checks.yml", "old")
    config = live(tmp_path / "checks.yml")
    assert not config.reload_if_changed()
    (tmp_path / "checks.yml").write_text("checks: 5\n")
    with pytest.raises(ConfigError):
        config.reload_if_changed()
    assert not config.reload_if_changed()
    write_checks(tmp_path / "checks.yml", "mended")
    assert config.reload_if_changed()
    assert names_of(config) == ["mended"]


def test_a_shortage_of_files_is_not_a_change(tmp_path: Path) -> None:
    """When no file can be opened, nothing is known about the files, so the next poll decides."""
    write_checks(tmp_path / "checks.yml", "old")
    config = live(tmp_path / "checks.yml")
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, limits[1]))
    try:
        looked = config.reload_if_changed()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)
    assert not looked
    assert config.last_reload_successful
    assert not config.reload_if_changed()


def test_the_secrets_of_each_configuration_are_masked(tmp_path: Path) -> None:
    """The secrets of the first configuration, of later ones and of earlier ones are all masked."""
    text = "checks: [{{name: a, type: http, target: 'http://a.example/', basic_auth: {{username: u, password: {}}}}}]"
    (tmp_path / "checks.yml").write_text(text.format("first-password"))
    config = live(tmp_path / "checks.yml")
    assert config.masks("first-password, second-password") == "<secret>, second-password"
    (tmp_path / "checks.yml").write_text(text.format("second-password"))
    config.reload()
    assert config.masks("first-password, second-password") == "<secret>, <secret>"


def test_files_that_join_and_leave_an_included_folder_are_seen(tmp_path: Path) -> None:
    """A pattern in `include` follows the folder it looks into."""
    (tmp_path / "checks.d").mkdir()
    (tmp_path / "checks.yml").write_text("include: [checks.d/*.yml]\n")
    write_checks(tmp_path / "checks.d" / "one.yml", "one")
    config = live(tmp_path / "checks.yml")
    write_checks(tmp_path / "checks.d" / "two.yml", "two")
    assert config.reload_if_changed()
    assert names_of(config) == ["one", "two"]
    (tmp_path / "checks.d" / "one.yml").unlink()
    assert config.reload_if_changed()
    assert names_of(config) == ["two"]


def test_a_link_that_is_swapped_is_seen(tmp_path: Path) -> None:
    """Kubernetes replaces a mounted ConfigMap by pointing a link to another folder."""
    for version in ("v1", "v2"):
        (tmp_path / version).mkdir()
        write_checks(tmp_path / version / "checks.yml", version)
    link = tmp_path / "current"
    link.symlink_to("v1")
    config = live(link / "checks.yml")
    link.unlink()
    link.symlink_to("v2")
    assert config.reload_if_changed()
    assert names_of(config) == ["v2"]


def test_a_secret_that_is_rotated_is_seen(tmp_path: Path) -> None:
    """The files of references belong to the configuration."""
    (tmp_path / "token").write_text("first")
    (tmp_path / "checks.yml").write_text(
        "checks: [{name: a, type: http, target: 'http://a.example/', bearer_token_file: token}]\n"
    )
    config = live(tmp_path / "checks.yml")
    (tmp_path / "token").write_text("second")
    assert config.reload_if_changed()
