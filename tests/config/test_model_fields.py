"""Settings of any shape: secrets, files and models are found in nested lists and mappings."""

from __future__ import annotations

from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from pathlib import Path

import jsonschema
import pytest
from pydantic import Field, SecretStr

from exporter.checks.base import CheckType
from exporter.checks.builtin import BUILTIN
from exporter.config import Config, json_schema, parse_config
from exporter.errors import ConfigError
from exporter.settings import BasicAuth, CheckSettings, ReadableFile, SettingsModel


class Step(SettingsModel):
    """One of several steps."""

    password: SecretStr | None = None
    script: ReadableFile | None = None


class Shaped(CheckSettings):
    """Settings with everything nested."""

    token: SecretStr
    steps: tuple[Step, ...] = ()
    users: Mapping[str, BasicAuth] = Field(default_factory=dict)
    keys: tuple[SecretStr, ...] = ()
    count: int | None = Field(default=None, multiple_of=5)
    width: int | str = 0


SHAPED = CheckType(name="shaped", description="Has settings", executor=BUILTIN[0].executor, settings=Shaped)
TYPES = {"shaped": SHAPED}
CANARY = "s3cr3t-CANARY"


def load(directory: Path, keys: str) -> Config:
    text = f"checks:\n- {{name: a, type: shaped, target: x, {keys}}}"
    return parse_config(text, str(directory / "f.yml"), TYPES, environment={})


def faults_of(keys: str) -> list[tuple[int, str, str]]:
    with pytest.raises(ConfigError) as caught:
        load(Path(), keys)
    return [(problem.column, problem.path, problem.message) for problem in caught.value.problems]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a secret and a script."""
    (tmp_path / "secret").write_text(CANARY)
    (tmp_path / "script").write_text("x")
    return tmp_path


KEYS = (
    "token_file: secret, steps: [{password_file: secret}, {script: script}], "
    "users: {me: {username: me, password_file: secret}}"
)


def test_secrets_and_files_are_found_at_every_depth(directory: Path) -> None:
    """`*_file` works, and paths are absolute, in nested lists and mappings, too; all files are watched."""
    config = load(directory, KEYS)
    settings = config.checks[0].settings
    assert isinstance(settings, Shaped)
    found = (settings.token, settings.steps[0].password, settings.users["me"].password)
    assert [secret.get_secret_value() for secret in found if secret] == [CANARY] * 3
    assert settings.steps[1].script == str(directory / "script")
    assert config.files == (directory / "secret", directory / "script")
    assert CANARY not in config.rendered


def test_secrets_are_masked_at_every_depth(directory: Path) -> None:
    """Values that were written out are masked wherever the model declares them secret."""
    nested = f"steps: [{{password: {CANARY}}}], users: {{me: {{username: me, password: {CANARY}}}}}, keys: [{CANARY}]"
    rendered = load(directory, f"token: {CANARY}, {nested}").rendered
    assert CANARY not in rendered
    assert rendered.count("<secret>") == 4


def test_the_schema_allows_secret_files_at_every_depth() -> None:
    """An editor offers `*_file` beside each secret, and one of the two is required if the secret is required."""
    validator = jsonschema.Draft202012Validator(json_schema(TYPES))
    check = {"name": "a", "type": "shaped", "target": "x"}
    nested = {"steps": [{"password_file": "x"}], "users": {"me": {"username": "me", "password_file": "x"}}}
    assert validator.is_valid({"checks": [check | nested | {"token_file": "x"}]})
    assert not validator.is_valid({"checks": [check | {"users": {"me": {"username": "me"}}}]})


@pytest.mark.parametrize(
    ("keys", "faults"),
    [
        ("steps: []", [(3, "checks[0].token", "is required")]),
        ("token: a, token_file: b", [(48, "checks[0].token_file", "cannot be used with token")]),
        ("token_file: [a]", [(50, "checks[0].token_file", "must be the path of a file")]),
        ("token_file: absent", [(50, "checks[0].token_file", '"absent" cannot be read: No such file or directory')]),
        ("token: a, steps: [{script: [a]}]", [(65, "checks[0].steps[0].script", "must be text, not a list")]),
        ("token: a, steps: [5]", [(56, "checks[0].steps[0]", "must be a mapping, not 5")]),
        ("token: a, steps: [{pasword: x}]",
         [(57, "checks[0].steps[0].pasword", 'is not a valid key; did you mean "password"?')]),
        ("token: a, users: {me: {username: me}}", [(60, "checks[0].users.me.password", "is required")]),
        ("token: a, count: 3", [(55, "checks[0].count", "must be a multiple of 5, not 3")]),
        ("token: a, width: [1]",
         [(55, "checks[0].width", ("must be a whole number, not a list; or must be text, not a list; "
          "each: {width: [..]} makes a check for each"))]),
    ],
)  # fmt: skip
def test_a_fault_is_reported_at_its_place(keys: str, faults: list[tuple[int, str, str]]) -> None:
    """Column and path refer to the nested value, and a union lists everything that is allowed."""
    assert faults_of(keys) == faults
