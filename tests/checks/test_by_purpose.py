"""The table of purposes in the reference of check types: each row is a check as it says, and they cover all types."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest
import yaml

from exporter.checks.builtin import BUILTIN
from exporter.config import parse_config
from tests.readme_blocks import TEXTS

if TYPE_CHECKING:
    from pathlib import Path

    from tests.servers.nginx import CertificateFiles

TYPES = {check_type.name: check_type for check_type in BUILTIN}
TARGETS = {
    "http": "https://shop.example/",
    "json-http": "https://api.example/health",
    "http-steps": "https://shop.example",
    "tcp": "shop.example:443",
    "udp": "game.example:27015",
    "grpc": "cart.example:8443",
    "websocket": "wss://live.example/",
}
ROWS = re.findall(
    r"^\| (.+) \| \[`([a-z-]+)`\]\(#[a-z0-9-]+\) \| `(.+)` \|$", TEXTS["exporter/checks/README.md"], re.MULTILINE
)


@pytest.mark.parametrize(("purpose", "check_type", "keys"), ROWS, ids=[purpose for purpose, _, _ in ROWS])
def test_each_row_is_a_check(
    purpose: str,
    check_type: str,
    keys: str,
    tmp_path: Path,
    ca_file: Path,
    certificate: CertificateFiles,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With a name and a target, what a row says to write is a valid check, and it uses nothing that it does not say."""
    (tmp_path / "ca.pem").write_bytes(ca_file.read_bytes())
    (tmp_path / "client.pem").write_bytes(certificate.cert_file.read_bytes())
    (tmp_path / "client-key.pem").write_bytes(certificate.key_file.read_bytes())
    (tmp_path / "secrets").mkdir()
    for name in ("loop-password", "reports-password"):
        (tmp_path / "secrets" / name).write_text("pa55word\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    written = yaml.safe_load(f"{{{keys}}}")
    check = {"name": purpose, "type": check_type, "target": TARGETS.get(check_type, "host.example"), **written}
    config = parse_config(json.dumps({"checks": [check]}), "checks.yml", TYPES, allow_programs=True)
    assert config.checks
    assert {one.check_type for one in config.checks} == {check_type}


def test_the_rows_cover_the_types() -> None:
    """Each type but pop3, which is like imap, and unix, which is like tcp, has a row."""
    assert {check_type for _, check_type, _ in ROWS} == TYPES.keys() - {"pop3", "unix"}
