"""Check types of plugins: imported when the configuration names them, and bound to the rules of the YAML."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from pydantic import Field

from exporter.checks.base import CheckType
from exporter.checks.builtin import BUILTIN
from exporter.config import parse_config
from exporter.config.plugins import contract_faults
from exporter.errors import ConfigError
from exporter.model import MetricSpec, Subject, ValueKind
from exporter.runner.registry import ExecutorRegistry
from exporter.settings import CheckSettings
from tests.servers.exporter import ENVIRONMENT, run_command, run_exporter

if TYPE_CHECKING:
    from pathlib import Path

MODULE = """
MODULE = "no check type"
from exporter.checks.base import CheckType
PING = CheckType(name="ping", description="Pings", executor=lambda context: None)
AGAIN = CheckType(name="ping", description="Pings again", executor=lambda context: None)
WRONG = CheckType(name="timeout", description="Is named as a key", executor=lambda context: None)
"""
CHECKS = "checks: [{name: a, type: ping, target: a.example}]"
REFUSED_REPLACEMENT = (
    '1:11: plugins[0]: "ping" provides the type ping, which exists already; '
    "write {plugin: ping, replaces: ping} to let it replace that type"
)
OTHER_CHECKS = "checks: [{name: a, type: http, target: 'http://a.example/'}]"
BASE = CheckType(name="ping", description="Pings", executor=BUILTIN[0].executor)


class TakesKeys(CheckSettings):
    """Settings that use the names of keys that every check has."""

    timeout_seconds: float = Field(default=1.0, alias="timeout")


@pytest.fixture
def packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory with packages for Python's path, one of which announces a check type."""
    (tmp_path / "pingcheck.py").write_text(MODULE)
    (tmp_path / "broken_check.py").write_text("raise SystemExit(3)")
    (tmp_path / "pingcheck-1.dist-info").mkdir()
    (tmp_path / "pingcheck-1.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: pingcheck\nVersion: 1\n")
    (tmp_path / "pingcheck-1.dist-info" / "entry_points.txt").write_text(
        "[nyxmon_exporter.check_types]\nping = pingcheck:PING\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    return tmp_path


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize("name", ["ping", "pingcheck:PING"])
def test_a_plugin_is_found_by_entry_point_and_by_attribute(name: str) -> None:
    """In both ways, the type is found, and checks of it can be configured."""
    config = parse_config(f"plugins: ['{name}']\n{CHECKS}", "f.yml", {})
    assert [plugin.name for plugin in config.plugins] == ["ping"]
    assert [check.check_type for check in config.checks] == ["ping"]


@pytest.mark.usefixtures("packages")
def test_a_plugin_that_is_not_named_is_not_imported() -> None:
    """An installed plugin is not imported by itself."""
    with pytest.raises(ConfigError, match='"ping" is not a check type'):
        parse_config(CHECKS, "f.yml", {"http": BUILTIN[0]})


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("names", "fault"),
    [
        ("[pong]", '"pong" is not an entry point; did you mean "ping"?'),
        ("[broken_check:X]", '"broken_check:X" cannot be imported: SystemExit: 3'),
        ("[pingcheck:MODULE]", '"pingcheck:MODULE" is not a CheckType but a str'),
        ("[ping, pingcheck:AGAIN]", '"pingcheck:AGAIN" provides the type ping, as another plugin does'),
        (
            "[ping, pingcheck:WRONG]",
            '"pingcheck:WRONG" provides a check type that cannot be named timeout, as a key of every check is',
        ),
    ],
)
def test_a_plugin_that_cannot_be_used_is_an_error_in_the_file(names: str, fault: str) -> None:
    """Whatever happens during the import, the configuration is rejected with a line that names the plugin."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"plugins: {names}\n{OTHER_CHECKS}", "f.yml", {"http": BUILTIN[0]})
    assert [problem.message for problem in caught.value.problems] == [fault]


@pytest.mark.usefixtures("packages")
def test_a_plugin_replaces_an_existing_type_when_the_file_says_so() -> None:
    """With the key `replaces`, checks of the type are those of the plugin."""
    config = parse_config(f"plugins: [{{plugin: ping, replaces: ping}}]\n{CHECKS}", "f.yml", {"ping": BASE})
    assert [plugin.description for plugin in config.plugins] == ["Pings"]
    assert config.plugins[0] is not BASE


@pytest.mark.usefixtures("packages")
@pytest.mark.parametrize(
    ("item", "fault"),
    [
        (
            "ping",
            REFUSED_REPLACEMENT,
        ),
        (
            "{plugin: ping, replaces: http}",
            '1:36: plugins[0].replaces: "http" is not the type that "ping" provides, which is ping',
        ),
        ("{replaces: ping}", "1:11: plugins[0].plugin: is required"),
        ("{plugin: ping, replace: ping}", '1:26: plugins[0].replace: is not a valid key; did you mean "replaces"?'),
        ("{plugin: 3, replaces: ping}", "1:20: plugins[0].plugin: must be text, not 3"),
        ("[ping]", "1:11: plugins[0]: must be text, not a list"),
    ],
)
def test_nothing_is_replaced_by_accident(item: str, fault: str) -> None:
    """A plugin that would replace a type, or an item that does not say what it replaces, is rejected with its place."""
    with pytest.raises(ConfigError) as caught:
        parse_config(f"plugins: [{item}]\n{CHECKS}", "f.yml", {"ping": BASE, "http": BUILTIN[0]})
    assert fault in [str(problem).removeprefix("f.yml:") for problem in caught.value.problems]


@pytest.mark.usefixtures("packages")
def test_what_does_not_exist_cannot_be_replaced() -> None:
    """`replaces` that names a type which only the plugin provides is rejected."""
    with pytest.raises(ConfigError, match='"ping" is not a type that exists without the plugin; leave out replaces'):
        parse_config(f"plugins: [{{plugin: ping, replaces: ping}}]\n{CHECKS}", "f.yml", {"http": BUILTIN[0]})


def test_a_replaced_type_comes_back_with_the_plugin_removed() -> None:
    """A reload without the plugin restores the exporter's own type, and new types are no longer configurable."""
    registry = ExecutorRegistry.with_builtins()
    own = registry.check_types["http"]
    registry.register_plugins((replace(own, description="Other"), BASE))
    assert registry.check_types["http"].description == "Other"
    assert registry.own_types["http"] is own
    registry.register_plugins(())
    assert registry.check_types["http"] is own
    assert "ping" not in registry.own_types


@pytest.mark.parametrize(
    ("check_type", "fault"),
    [
        (replace(BASE, name="Ping!"), "must have a name of small letters, digits, - and _"),
        (replace(BASE, settings=dict),  # type: ignore[arg-type] # what a plugin may get wrong
         "has settings that do not derive from CheckSettings"),
        (replace(BASE, settings=TakesKeys), "has the setting timeout, as every check has"),
        (
            replace(BASE, subjects=(Subject(name="lt", kind=ValueKind.TEXT, description=""),)),
            "has the subject lt, a name that is taken",
        ),
    ],
)  # fmt: skip
def test_what_would_make_the_yaml_ambiguous_is_rejected(check_type: CheckType, fault: str) -> None:
    """Names of types, settings and subjects must not collide."""
    assert contract_faults(check_type) == [fault]


@pytest.mark.parametrize("check_type", BUILTIN, ids=lambda check_type: check_type.name)
def test_the_built_in_types_keep_the_contract(check_type: CheckType) -> None:
    """The rules for plugins apply to the built-in types as well."""
    assert contract_faults(check_type) == []


def metric(name: Any = "probe_ping", **fields: Any) -> CheckType:
    return replace(BASE, metrics=(MetricSpec(**{"name": name, "help": "", **fields}),))


def subject(name: Any = "pong", **fields: Any) -> CheckType:
    return replace(BASE, subjects=(Subject(**{"name": name, "kind": ValueKind.TEXT, "description": "", **fields}),))


def phases(*names: str, labels: Any = ("phase",), **fields: Any) -> CheckType:
    defaults = tuple(((name,), 0.0) for name in names)
    spec = MetricSpec(
        **{"name": "probe_ping_duration_seconds", "help": "", "labels": labels, "defaults": defaults, **fields}
    )
    return replace(BASE, phases=spec)


RESERVED = "has a label {!r}, which Prometheus would not take or which is reserved"
UNFIT: list[tuple[CheckType, str]] = [
    (replace(BASE, phases="x"), "has phases that are not a MetricSpec"),  # type: ignore[arg-type] # what may go wrong
    (phases("a", name="probe_ping"), "has phases whose metric has a name that does not end in _duration_seconds"),
    (phases("a", labels=("step",)), "has phases whose metric does not have the one label phase"),
    (phases(), "has phases without a single phase"),
    (phases("a", "a"), "has the phase a twice"),
    (phases("", "a"), "has the phase '', which is not a name of small letters, digits, - and _"),
    (phases("A b"), "has the phase 'A b', which is not a name of small letters, digits, - and _"),
    (phases("a", defaults=((("a",), 1.0),)), "has phases whose defaults are not all 0"),
    (phases(*(f"p{number}" for number in range(21))), "has 21 phases; at most 20 are shown"),
    *(
        (metric(name), f"has the metric {name!r}, which has a name that Prometheus would not take")
        for name in ("probe-x", "probe_x\n", "", "1x", "probe:x", "probe x", "prôbe", "probe_x\ud800", None, 5)
    ),
    *(
        (metric(name), f"has the metric {name!r}, which has the name of one of the exporter's own")
        for name in (
            "probe_success",
            "probe_failure_info",
            "nyxmon_check_runs_total",
            "nyxmon_batch_duration_seconds_sum",
        )
    ),
    *(
        (metric(name), f"has the metric {name!r}, which has a prefix that is reserved for the exporter itself")
        for name in ("nyxmon_x", "process_x")
    ),
    *(
        (metric(name), f"has the metric {name!r}, which has a name that is reserved for Prometheus itself")
        for name in ("up", "scrape_duration_seconds", "ALERTS")
    ),
    *(
        (
            metric(labels=(label,)),
            f"has the metric 'probe_ping', which {RESERVED.format(label)}",
        )
        for label in ("check", "check_type", "target", "le", "quantile", "__x", "a-b", "a\n", "", "1a", "ä")
    ),
    *(
        (metric(labels=labels), "has the metric 'probe_ping', which has labels that are not a tuple of texts")
        for labels in ("phase", ["phase"], (1,), None)
    ),
    (metric(labels=("a", "a")), "has the metric 'probe_ping', which has a label twice"),
    *(
        (metric(help=text), "has the metric 'probe_ping', which has a help that is not text")
        for text in (None, b"x", "\ud800")
    ),
    (
        metric(labels=("a",), defaults=(((), 0.0),)),
        "has the metric 'probe_ping', which has a default with too few or too many label values",
    ),
    (
        metric(labels=("a",), defaults=((("x",), "y"),)),
        "has the metric 'probe_ping', which has the default 'y', which is not a number",
    ),
    (
        metric(labels=("a",), defaults=(((1,), 0.0),)),
        "has the metric 'probe_ping', which has a default whose label values are not a tuple of texts",
    ),
    (metric(defaults=None), "has the metric 'probe_ping', which has defaults that are not a tuple"),
    (replace(BASE, metrics=("probe_ping",)), "has the metric 'probe_ping', which is not a MetricSpec"),  # type: ignore[arg-type] # as below, what a plugin may get wrong
    (replace(BASE, metrics=[]), "has metrics that are not a tuple"),  # type: ignore[arg-type]
    (
        replace(BASE, metrics=(*metric().metrics, *metric(labels=("a",)).metrics)),
        "has the metric 'probe_ping' twice",
    ),
    (
        metric("probe_http_status_code"),
        "has the metric 'probe_http_status_code', which is declared otherwise by the type http",
    ),
    *(
        (subject(name), f"has the subject {name}, a name that is taken")
        for name in ("duration", "name", "severity", "eq")
    ),
    *(
        (subject(name), f"has the subject {name!r}; a name has small letters, digits and _")
        for name in ("Pong", "pong\n", "", "a-b", None)
    ),
    (
        replace(BASE, subjects=subject().subjects * 2),
        "has the subject pong, a name that is taken",
    ),
    *(
        (subject(**fields), "has the subject pong, whose kind, selector, reason, description or choices are not such")
        for fields in ({"kind": "text"}, {"selector": None}, {"reason": "auth"}, {"choices": "ab"}, {"description": 1})
    ),
    (replace(BASE, subjects=(None,)), "has the subject None, which is not a Subject"),  # type: ignore[arg-type]
    (replace(BASE, name="ping\n"), "must have a name of small letters, digits, - and _"),
    (replace(BASE, name=None), "must have a name of small letters, digits, - and _"),  # type: ignore[arg-type]
    (replace(BASE, executor=None), "has an executor that cannot be called"),  # type: ignore[arg-type]
    (replace(BASE, endpoint="x"), "has an endpoint that cannot be called"),  # type: ignore[arg-type]
    (replace(BASE, validate_target="x"), "has a validate_target that cannot be called"),  # type: ignore[arg-type]
    (replace(BASE, description=None), "has a description that is not text"),  # type: ignore[arg-type]
    (
        replace(BASE, min_interval_seconds=math.nan),
        "has the min_interval_seconds nan, which is not a number of seconds",
    ),
]


@pytest.mark.parametrize(("check_type", "fault"), UNFIT, ids=lambda value: value[:60] if isinstance(value, str) else "")
def test_what_could_not_be_shown_or_judged_is_rejected(check_type: CheckType, fault: str) -> None:
    """A declaration that would spoil every page is an error in the configuration that names it."""
    assert contract_faults(check_type, BUILTIN) == [fault]


def test_a_metric_of_another_type_may_be_shared() -> None:
    """The same declaration has the same meaning, whichever type measures it."""
    (spec,) = [spec for spec in BUILTIN[0].metrics if spec.name == "probe_http_status_code"]
    again = MetricSpec(name=spec.name, help=spec.help, labels=spec.labels)
    assert [contract_faults(replace(BASE, metrics=(each,)), BUILTIN) for each in (spec, again)] == [[], []]


PLUGIN = """
from exporter.checks.base import CheckType
from exporter.model import MetricSpec
UP = MetricSpec(name="probe_success", help="Collides.")
BAD = CheckType(name="bad", description="Collides", executor=lambda context: None, metrics=(UP,))
def fail(*arguments): raise KeyError("s3cr3t")
ODD = CheckType(name="odd", description="Fails", executor=lambda context: None, validate_target=fail)
RASH = CheckType(name="rash", description="Fails", executor=lambda context: None, default_expectations=fail)
"""
COLLIDES = "provides a check type that has the metric 'probe_success', which has the name of one of the exporter's own"


@pytest.mark.parametrize(
    ("name", "fault"),
    [
        ("BAD", COLLIDES),
        ("ODD", "the type odd failed at its target: KeyError"),
        ("RASH", "the type rash failed at its default expectations: KeyError"),
    ],
)
def test_a_faulty_plugin_is_rejected_by_a_check_of_the_configuration_and_by_a_reload(
    tmp_path: Path, name: str, fault: str
) -> None:
    """`--config.check` reports it and exits with 2; a running exporter keeps its configuration and continues."""
    (tmp_path / "colliding.py").write_text(PLUGIN, encoding="utf-8")
    bad = f"plugins: ['colliding:{name}']\nchecks: [{{name: b, type: {name.lower()}, target: x}}]\n"
    (tmp_path / "bad.yml").write_text(bad, encoding="utf-8")
    path = f"{tmp_path}:{ENVIRONMENT['PYTHONPATH']}"
    outcome = run_command("--config.check", "--config.file=bad.yml", directory=tmp_path, PYTHONPATH=path)
    assert outcome.status == 2
    assert outcome.stderr.count("\n") == 1
    assert outcome.stderr.endswith(f"{fault}\n")
    good = "checks: [{name: a, type: tcp, target: '127.0.0.1:1'}]\n"
    with run_exporter(tmp_path, good, environment={"PYTHONPATH": path}) as exporter:
        exporter.config_file.write_text(bad, encoding="utf-8")
        answer = httpx.post(f"http://{exporter.address}/-/reload", trust_env=False, timeout=30)
        assert (answer.status_code, fault in answer.text) == (500, True)
        status, page = exporter.get("/metrics")
        assert (status, 'probe_success{check="a",' in page) == (200, True)
        assert "\nnyxmon_exporter_config_last_reload_successful 0.0\n" in page
