"""How a scrape job reaches its exporter: credentials and TLS options, with their files."""

from __future__ import annotations

import base64
import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, SecretStr

if TYPE_CHECKING:
    from collections.abc import Mapping

_NOTHING = SecretStr("")
_UNSUPPORTED = ("oauth2", "sigv4", "proxy_url", "proxy_from_environment", "http_headers")


class BasicAuth(BaseModel):
    """A user name and a password."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    username: str = ""
    username_file: str = ""
    password: SecretStr = _NOTHING
    password_file: str = ""


class Authorization(BaseModel):
    """Credentials in any other scheme."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    type: str = "Bearer"
    credentials: SecretStr = _NOTHING
    credentials_file: str = ""


class TlsOptions(BaseModel):
    """The options of `tls_config` by which the exporter is verified and the client identified."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    ca: str = ""
    ca_file: str = ""
    cert_file: str = ""
    key_file: str = ""
    server_name: str = ""
    insecure_skip_verify: bool = False


class Access(BaseModel):
    """How to authenticate to the exporter of a job.

    Attributes:
        basic_auth: A user name and a password; None for none.
        authorization: Other credentials; None for none.
        tls_config: The TLS options.
        directory: The directory that paths are relative to.
        unsupported: The options of the job that are not applied here.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    basic_auth: BasicAuth | None = None
    authorization: Authorization | None = None
    tls_config: TlsOptions = Field(default_factory=TlsOptions)
    directory: Path = Path()
    unsupported: tuple[str, ...] = ()

    def credentials(self) -> str:
        """Return the value of the header Authorization; empty without credentials.

        Raises:
            OSError: When a file cannot be read.
        """
        if self.basic_auth is not None:
            user = self.basic_auth.username or self._content(self.basic_auth.username_file)
            password = self.basic_auth.password.get_secret_value() or self._content(self.basic_auth.password_file)
            return f"Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}"
        if self.authorization is not None:
            given = self.authorization.credentials.get_secret_value()
            return f"{self.authorization.type} {given or self._content(self.authorization.credentials_file)}"
        return ""

    def tls_context(self) -> ssl.SSLContext:
        """Return a context for requests over https.

        Raises:
            OSError: When a file cannot be read or has the wrong content.
        """
        options = self.tls_config
        context = _NamedContext(ssl.PROTOCOL_TLS_CLIENT)
        context.name = options.server_name
        if options.insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        elif options.ca or options.ca_file:
            context.load_verify_locations(self._path(options.ca_file), cadata=options.ca or None)
        else:
            context.load_default_certs()
        if options.cert_file:
            context.load_cert_chain(str(self._path(options.cert_file)), self._path(options.key_file))
        return context

    def _path(self, name: str) -> Path | None:
        return self.directory / name if name else None

    def _content(self, name: str) -> str:
        path = self._path(name)
        return "" if path is None else path.read_text(encoding="utf-8").strip()


class _NamedContext(ssl.SSLContext):
    """A client's context that verifies a fixed name, if it has one."""

    name = ""

    def wrap_socket(self, *arguments: Any, **options: Any) -> ssl.SSLSocket:
        """Verify the fixed name instead of the host's."""
        return super().wrap_socket(*arguments, **options | ({"server_hostname": self.name} if self.name else {}))


def access_of(options: Mapping[str, Any], directory: Path) -> Access:
    """Return the access of a scrape job.

    Args:
        options: The keys of the job.
        directory: The directory that paths of the job are relative to.

    Raises:
        ValueError: When an option is not as Prometheus allows it.
    """
    given = {name: options[name] for name in ("basic_auth", "authorization", "tls_config") if options.get(name)}
    token = {"credentials": options.get("bearer_token", ""), "credentials_file": options.get("bearer_token_file", "")}
    if any(token.values()):
        given["authorization"] = token
    unsupported = tuple(name for name in _UNSUPPORTED if options.get(name))
    return Access.model_validate(given | {"directory": directory, "unsupported": unsupported})
