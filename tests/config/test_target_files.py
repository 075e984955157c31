"""Targets from files in Prometheus' file_sd format: the resulting checks, what is rejected, and what a change does."""

from __future__ import annotations

import json
import time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from exporter.config import LiveConfig, load_config
from exporter.config.model_fields import ModelFields, fields_of
from exporter.errors import ConfigError
from exporter.http.settings import HttpSettings
from exporter.runner.registry import ExecutorRegistry

if TYPE_CHECKING:
    from collections.abc import Iterator

    from exporter.config import Config

TYPES = ExecutorRegistry.with_builtins().check_types
PORTS = "checks: [{name: '{target}', type: tcp, target_files: [targets/*.json]}]"


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The directory of the configuration, with a folder for target files."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "targets").mkdir()
    return tmp_path


def load(checks: str) -> Config:
    Path("checks.yml").write_text(checks, encoding="utf-8")
    return load_config(Path("checks.yml"), TYPES, environment={"TOKEN": "geheim"})


def live(checks: str) -> LiveConfig:
    initial = load(checks)
    return LiveConfig(partial(load_config, Path("checks.yml"), TYPES), initial)


def write_targets(file: str, *groups: object) -> None:
    Path(file).write_text(json.dumps(groups), encoding="utf-8")


def group(*targets: str, **labels: str) -> dict[str, object]:
    return {"targets": targets, "labels": labels}


def summary(config: Config) -> list[tuple[str, str, dict[str, str]]]:
    return [(check.name, check.target, dict(check.labels)) for check in config.checks]


def names_of(config: Config) -> list[str]:
    return [check.name for check in config.checks]


def refusal_of(checks: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(checks)
    return str(caught.value)


def test_every_target_of_every_group_is_a_check() -> None:
    """Group labels become labels of the checks and placeholders; JSON and YAML files are equivalent."""
    write_targets("targets/a.json", group("shop.example", "blog.example", team="web"), group("api.example", team="ops"))
    Path("more.yml").write_text("- targets: [mail.example]\n  labels: {team: 7}\n- targets: []\n", encoding="utf-8")
    config = load(
        "checks: [{name: '{team} {target}', type: http, target: 'https://{target}/', "
        "target_files: [targets/*.json, more.yml]}]"
    )
    assert summary(config) == [
        ("web shop.example", "https://shop.example/", {"team": "web"}),
        ("web blog.example", "https://blog.example/", {"team": "web"}),
        ("ops api.example", "https://api.example/", {"team": "ops"}),
        ("7 mail.example", "https://mail.example/", {"team": "7"}),
    ]


def test_labels_go_between_the_defaults_and_the_check() -> None:
    """A target's label overrides a default, and the check's label overrides both; Prometheus' own are dropped."""
    labels = {"team": "web", "env": "test", "dc": "one", "__meta_id": "7", "__address__": "x"}
    write_targets("targets/a.json", group("a.example:1", **labels))
    config = load(
        "defaults: {labels: {team: nobody, tier: low}}\n"
        "checks: [{name: a, type: tcp, target_files: [targets/a.json], labels: {env: prod, where: 'at {dc}'}}]"
    )
    assert summary(config) == [
        ("a", "a.example:1", {"team": "web", "tier": "low", "env": "prod", "dc": "one", "where": "at one"})
    ]


def test_targets_and_each_are_multiplied_with_those_of_files() -> None:
    """`targets` may stand beside files, `each` is multiplied with both, and its keys hide labels of the same name."""
    write_targets("targets/a.json", group("b.example:1", port="no"))
    config = load(
        "checks: [{name: '{target}-{port}', type: tcp, target: '{target}', targets: ['a.example:1'], "
        "target_files: [targets/*.json], each: {port: [1, 2]}}]"
    )
    assert names_of(config) == ["a.example:1-1", "b.example:1-1", "a.example:1-2", "b.example:1-2"]


def test_the_same_target_with_the_same_labels_is_checked_once() -> None:
    """Files may overlap: targets that are the same for Prometheus are one check."""
    write_targets("targets/a.json", group("a.example:1", "a.example:1", team="web", __meta_id="1"))
    write_targets("targets/b.json", group("b.example:1"), group("a.example:1", team="web", __meta_id="2"))
    config = load(
        "checks: [{name: '{target}', type: tcp, target_files: [targets/a.json, targets/*.json, targets/b.json]}]"
    )
    assert names_of(config) == ["a.example:1", "b.example:1"]


def test_files_are_relative_to_the_file_that_names_them() -> None:
    """An included file may name target files relative to itself, and several checks may name the same ones."""
    Path("more/targets").mkdir(parents=True)
    write_targets("more/targets/a.json", group("a.example:1"))
    Path("more/checks.yml").write_text(f"{PORTS[:-1]}, {{name: 'too {{target}}', type: tcp, "
                                       "target_files: ['targets/**/a.json']}]", encoding="utf-8")  # fmt: skip
    config = load("include: [more/checks.yml]")
    assert names_of(config) == ["a.example:1", "too a.example:1"]
    assert {str(file) for file in config.files} >= {"more/targets", "more/targets/a.json"}


def test_nothing_in_a_target_file_is_a_reference() -> None:
    """Its texts are literal, even if texts around them would turn them into a reference."""
    write_targets("targets/a.json", group("a.example:1", token="${env:TOKEN}", escaped="$${env:TOKEN}"))
    config = load(
        "checks: [{name: '{target}', type: http, target: 'http://{target}/', target_files: [targets/*.json], "
        "headers: {A: '{token}', B: 'x{escaped}', C: 'Bearer ${env:TOKEN}'}}]"
    )
    [check] = config.checks
    assert isinstance(check.settings, HttpSettings)
    assert check.settings.headers == {"A": "${env:TOKEN}", "B": "x$${env:TOKEN}", "C": "Bearer geheim"}
    assert dict(check.labels) == {"token": "${env:TOKEN}", "escaped": "$${env:TOKEN}"}
    (reread,) = load(config.rendered).checks
    assert reread == check


@pytest.mark.parametrize("text", ["$" + "{a}", "{b}{a}", "{b}" + "{{a}}", "${env:{c}}", "${env:T{empty}OKEN}"])
def test_no_reference_is_made_of_what_a_target_file_says(text: str) -> None:
    """This holds for whole and partial references, whatever braces and dollars the file contains."""
    write_targets("targets/a.json", group("a.example:1", a="{env:TOKEN}", b="$", c="TOKEN", empty=""))
    refusal = refusal_of(
        f"checks: [{{name: x, type: http, target: 'http://{{target}}/', target_files: [targets/*.json], "
        f"headers: {{A: '{text}'}}}}]"
    )
    assert "in a reference, as it is from a target file" in refusal
    assert "geheim" not in refusal


def files_among(fields: ModelFields) -> Iterator[str]:
    """The keys that name a file, in a model and in those within it."""
    yield from fields.files
    for below in fields.models.values():
        yield from files_among(below)


def test_keys_that_name_files_are_known_by_their_names() -> None:
    """The rule that keeps target files from choosing files is about the end of a key, in every type."""
    keys = {key for check_type in TYPES.values() for key in files_among(fields_of(check_type.settings))}
    assert {"body_file", "ca_file"} <= keys
    assert {key for key in keys if not key.endswith("_file")} == set()


def test_reserved_labels_are_rejected_at_their_place() -> None:
    """A label that Prometheus or the exporter sets is rejected, as in the check itself."""
    Path("targets/a.json").write_text('[{"targets": ["a.example:1"],\n  "labels": {"job": "shop"}}]', encoding="utf-8")
    assert refusal_of(PORTS).startswith('targets/a.json:2:14: [0].labels.job: "job" is a reserved label, as are')


def test_files_that_are_not_lists_are_rejected() -> None:
    """A file is named if it has other content, cannot be read, or is too large."""
    Path("targets/a.json").write_text("{}", encoding="utf-8")
    Path("targets/b.json").write_bytes(b'[{"targets": ["\xff"]}]')
    Path("targets/c.json").write_text("[]" + " " * (4 << 20), encoding="utf-8")
    Path("d.yaml").write_text("- targets: [a\n", encoding="utf-8")
    Path("e.yml").write_text("# nothing yet\n", encoding="utf-8")
    assert refusal_of(PORTS.replace("*.json", "*.json, d.yaml, e.yml")).splitlines() == [
        'd.yaml:1:12: is not valid YAML: this "[" is not closed',
        "e.yml: is empty; a file without targets has the text []",
        "targets/a.json:1:1: must be a list of groups with the keys targets and labels",
        "targets/b.json:1:16: is not UTF-8",
        "targets/c.json: is larger than 4096 KiB",
    ]


def test_too_many_targets_are_rejected() -> None:
    """The limit on the checks of one item includes those from files."""
    write_targets("targets/a.json", group(*(f"a.example:{port}" for port in range(1, 10_002))))
    assert refusal_of(PORTS) == "checks.yml:1:10: checks[0]: expands to more than 10000 checks"


def test_too_many_files_are_rejected() -> None:
    """A pattern that matches a whole tree is rejected."""
    for number in range(1001):
        write_targets(f"targets/{number}.json")
    assert refusal_of(PORTS) == "checks.yml:1:54: checks[0].target_files: leads to more than 1000 files"


def test_ten_thousand_targets_load_in_seconds() -> None:
    """This is the limit for one item, with each target in its own group as generators write them."""
    groups = (group(f"host{n}.example:443", team="web", dc=f"dc{n % 7}", __meta_id=str(n)) for n in range(10_000))
    write_targets("targets/a.json", *groups)
    started = time.process_time()
    assert len(load(PORTS).checks) == 10_000
    assert time.process_time() - started < 10.0


def test_a_check_without_targets_yet_is_valid() -> None:
    """A pattern may match nothing, and a list may be empty; placeholders for labels are no errors then."""
    checks = "[{name: '{team}{port}', type: tcp, target_files: [targets/*.json], each: {port: [1]}}]"
    config = live(f"checks: {checks}")
    assert names_of(config.current) == []
    write_targets("targets/a.json")
    assert config.reload_if_changed()
    assert names_of(config.current) == []


def test_changed_added_and_removed_files_are_noticed() -> None:
    """A check follows the files that its pattern matches."""
    write_targets("targets/a.json", group("a.example:1"))
    config = live(PORTS)
    write_targets("targets/a.json", group("a.example:1", "b.example:1"))
    assert config.reload_if_changed()
    assert names_of(config.current) == ["a.example:1", "b.example:1"]
    write_targets("targets/c.json", group("c.example:1"))
    assert config.reload_if_changed()
    Path("targets/a.json").unlink()
    assert config.reload_if_changed()
    assert names_of(config.current) == ["c.example:1"]


@pytest.mark.parametrize("share", [0.0, 0.5, 0.98])
def test_a_half_written_file_changes_nothing_until_it_is_whole(share: float) -> None:
    """A file that is being written leaves the old targets in force, and the finished file is noticed."""
    write_targets("targets/a.json", group("a.example:1"))
    config = live(PORTS)
    written = json.dumps([group("a.example:1"), group("b.example:1")])
    Path("targets/a.json").write_text(written[: int(len(written) * share)], encoding="utf-8")
    with pytest.raises(ConfigError, match=r"^targets/a\.json"):
        config.reload_if_changed()
    assert names_of(config.current) == ["a.example:1"]
    assert not config.last_reload_successful
    Path("targets/a.json").write_text(written, encoding="utf-8")
    assert config.reload_if_changed()
    assert names_of(config.current) == ["a.example:1", "b.example:1"]


def test_a_missing_file_is_noticed_when_it_appears() -> None:
    """A file that is named without a pattern must exist; its creation fixes the configuration."""
    config = live("checks: [{name: old, type: tcp, target: 'a.example:1'}]")
    Path("checks.yml").write_text(PORTS.replace("*", "a"), encoding="utf-8")
    with pytest.raises(ConfigError, match=r'"targets/a\.json" does not exist'):
        config.reload_if_changed()
    write_targets("targets/a.json", group("b.example:1"))
    assert config.reload_if_changed()
    assert names_of(config.current) == ["b.example:1"]
