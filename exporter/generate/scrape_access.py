"""How Prometheus authenticates to exporters: scheme, user and certificates, as keys of scrape jobs and discovery."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Scheme = Literal["http", "https"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrapeAccess:
    """How Prometheus connects and authenticates to the exporters; paths are on the machine of Prometheus.

    Attributes:
        scheme: Scheme of their URLs.
        username: User of the basic authentication; empty for none.
        password_file: File with the password.
        ca_file: File of the authorities that the exporters' certificates are verified with; empty for the system's.
        cert_file: File of the client certificate; empty for none.
        key_file: File of its key.
        server_name: Name that the exporters' certificates must have; empty for the one in the address.
        insecure_skip_verify: Whether any certificate of an exporter is accepted.
    """

    scheme: Scheme = "http"
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False

    @property
    def job_keys(self) -> dict[str, object]:
        """The keys of a scrape job."""
        return {"scheme": self.scheme, **self.client_keys} if self.scheme == "https" else self.client_keys

    @property
    def client_keys(self) -> dict[str, object]:
        """The keys of everything that sends requests; service discovery has its scheme in its URL."""
        keys: dict[str, object] = {}
        if self.username:
            keys["basic_auth"] = {"username": self.username, "password_file": self.password_file}
        tls: dict[str, object] = {
            "ca_file": self.ca_file,
            "cert_file": self.cert_file,
            "key_file": self.key_file,
            "server_name": self.server_name,
            "insecure_skip_verify": self.insecure_skip_verify,
        }
        if given := {key: value for key, value in tls.items() if value}:
            keys["tls_config"] = given
        return keys
