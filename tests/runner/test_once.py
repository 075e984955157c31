"""Single checks from Python: they are completed, and rejected, as in a configuration."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from exporter import Check, Reason, Result, ResultStatus, checks_from_yaml, run_check
from exporter.errors import ConfigError, UnknownCheckTypeError
from tests.checks.test_new_check_type import GREETING, LETTERS, Greeting
from tests.servers.tcp import answer, say, serve

if TYPE_CHECKING:
    from pathlib import Path


def test_a_check_made_in_python_is_judged_as_in_a_configuration() -> None:
    """A status of 500 fails a check without an expectation about the status, with the same sentence in both cases."""
    with serve(answer(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")) as server:
        url = f"http://{server.target}/"
        made = run_check(Check(name="shop", check_type="http", target=url))
        (read,) = checks_from_yaml(f"checks: [{{name: shop, type: http, target: '{url}'}}]")
        found = run_check(read)
    assert (made.status, made.reason, made.detail) == (ResultStatus.ERROR, Reason.STATUS, found.detail)
    assert made.expectations == found.expectations


def test_a_check_of_a_given_type_is_run() -> None:
    """A test of a plugin passes its type and a check, and the default settings are filled in."""
    result = run_check(Check(name="a", check_type="greeting", target="world"), GREETING)
    assert (result.status, [one[:2] for one in result.measurements]) == (ResultStatus.OK, [(LETTERS, 11)])


def test_an_executor_always_receives_settings_of_its_type() -> None:
    """A check without settings has the defaults of its type when it is executed."""
    seen: list[object] = []

    class Nosy(Greeting):
        async def execute(self, check: Check) -> Result:
            seen.append(check.settings)
            return await super().execute(check)

    run_check(Check(name="a", check_type="greeting", target="world"), replace(GREETING, executor=Nosy))
    assert seen == [Greeting.Settings()]


def test_a_target_that_the_type_refuses_is_refused_before_anything_runs() -> None:
    """The error names the check and says what is wrong, as the configuration would."""
    with pytest.raises(ValueError, match="check 'a': target: needs a port"):
        run_check(Check(name="a", check_type="tcp", target="127.0.0.1"))


def test_a_type_that_is_neither_built_in_nor_given_is_unknown() -> None:
    """The error names the type."""
    with pytest.raises(UnknownCheckTypeError, match="'greeting'"):
        run_check(Check(name="a", check_type="greeting", target="world"))


def test_a_given_type_that_breaks_the_contract_is_refused() -> None:
    """What a configuration would reject in a plugin is rejected here too."""
    with pytest.raises(ValueError, match="the check type Greeting must have a name of small letters"):
        run_check(Check(name="a", check_type="Greeting", target="world"), replace(GREETING, name="Greeting"))


def test_checks_are_read_from_a_file_and_from_a_text(tmp_path: Path) -> None:
    """Both yield the same checks, expanded and complete."""
    text = "checks: [{name: '{target}', type: tcp, targets: ['127.0.0.1:1', '127.0.0.1:2']}]"
    (tmp_path / "checks.yml").write_text(text)
    from_text = checks_from_yaml(text)
    assert [check.name for check in from_text] == ["127.0.0.1:1", "127.0.0.1:2"]
    assert checks_from_yaml(tmp_path / "checks.yml") == from_text


def test_a_document_with_faults_is_refused_with_places() -> None:
    """As a configuration, with line and column."""
    with pytest.raises(ConfigError, match=r"checks.yml:1:31: .*targt: is not a valid key"):
        checks_from_yaml("checks: [{name: a, type: tcp, targt: '127.0.0.1:1'}]")


def test_the_budget_ends_a_check() -> None:
    """A silent peer is given up when the budget is used up, whatever the check's own timeout."""
    (check,) = checks_from_yaml(
        "checks: [{name: a, type: tcp, target: '127.0.0.1:1', timeout: 20s, expect: [{banner: {contains: x}}]}]"
    )
    with serve(say(b"")) as server:
        result = run_check(replace(check, target=server.target, prepared=None), budget_seconds=0.3)
    assert result.reason is Reason.DEADLINE
