"""Modules as they are written become checks that do what blackbox_exporter does."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from exporter.blackbox import HostnameConflictError, load_modules
from exporter.dialogue.template import Template
from exporter.http.settings import HttpSettings

if TYPE_CHECKING:
    from pathlib import Path

    from exporter.blackbox import Module


def module_of(path: Path, text: str) -> Module:
    """Return the module `m` of a file with this text."""
    file = path / "blackbox.yml"
    file.write_text(text)
    module = load_modules(file).get("m")
    assert module is not None
    return module


def test_a_target_without_scheme_is_asked_over_http(tmp_path: Path) -> None:
    """A target without a scheme becomes an http URL."""
    check = module_of(tmp_path, "modules: {m: {prober: http}}").check("www.example/path")
    assert (check.check_type, check.target, check.shown_target) == (
        "http",
        "http://www.example/path",
        "www.example/path",
    )


def test_the_hostname_of_a_probe_becomes_the_host_header(tmp_path: Path) -> None:
    """The parameter `hostname` sets the Host header of one probe and leaves the module as it is."""
    module = module_of(tmp_path, "modules: {m: {prober: http, http: {headers: {X-One: a}}}}")
    hosts = []
    for hostname in ("www.example", None):
        settings = module.check("192.0.2.1", hostname).settings
        assert isinstance(settings, HttpSettings)
        hosts.append(settings.host_header)
    assert hosts == ["www.example", None]


def test_a_hostname_that_contradicts_the_module_is_refused(tmp_path: Path) -> None:
    """A probe cannot ask for another host than the module's Host header."""
    module = module_of(tmp_path, "modules: {m: {prober: http, http: {headers: {host: a.example}}}}")
    with pytest.raises(HostnameConflictError, match=r"names the host b.example, but the module has the Host header a"):
        module.check("192.0.2.1", "b.example")


def test_a_step_sends_its_text_and_a_line_feed(tmp_path: Path) -> None:
    """References are read as Go reads them, and only in a step that expects something."""
    module = module_of(
        tmp_path,
        """
modules:
  m:
    prober: tcp
    tcp:
      query_response:
        - send: cost $1
        - expect: "(a)(?P<name>b)"
          send: "$name ${2} $3 $$ ${1}x $1x"
""",
    )
    sent = [step.send for step in module.check("192.0.2.1:25").settings.dialogue]
    assert sent == [
        Template(("cost $1\n",), ()),
        Template(("", " ", "  $ ", "x \n"), ("name", "2", "1")),
    ]
