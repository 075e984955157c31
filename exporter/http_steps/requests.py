"""Makes the requests of steps: templates are read once, and filled in by each run with what it has captured."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlencode

from exporter.dialogue.template import parse_template
from exporter.errors import CheckFailed
from exporter.http.contained import contained
from exporter.http.defaults import request_defaults
from exporter.http.redirects import redirected_options
from exporter.http.request import new_request, with_field
from exporter.http.settings import HttpSettings
from exporter.http.wire import wire_request
from exporter.http_steps.addressing import address_of
from exporter.model import Reason
from exporter.net.proxy.tunnel import basic_credentials
from exporter.secrecy import SecretText

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpx
    from pydantic import JsonValue

    from exporter.dialogue.template import Template
    from exporter.http.message import WireRequest
    from exporter.http.redirects import RedirectRules
    from exporter.http_steps.settings import HttpStep, HttpStepsSettings

_OF_THE_CHECK = (
    "ip_protocol", "happy_eyeballs", "source_ip", "resolver", "connect_to", "connect_timeout_seconds", "tls_config",
    "tls_timeout_seconds", "proxy", "no_proxy", "proxy_from_environment", "http2", "max_redirects", "allow_downgrade",
    "body_size_limit",
)  # fmt: skip
"""Settings that all requests of a check share."""

_UNSENT = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_TOKEN = re.compile(r"[\x21-\x7e]+")


class StepRequest(NamedTuple):
    """A request whose templates are read; lives with the configuration, shared by runs.

    Attributes:
        settings: The settings of all requests of the check.
        step: The step.
        url: Its URL.
        headers: Its header fields.
        token: Its bearer token; None without one.
    """

    settings: HttpStepsSettings
    step: HttpStep
    url: Template
    headers: Mapping[str, Template]
    token: Template | None

    def references(self) -> frozenset[str]:
        """Return the names of the captures that the request needs."""
        return frozenset(name for text in self.step.texts for name in parse_template(text).names)

    def filled(self, captured: Mapping[str, str], target: httpx.URL) -> tuple[WireRequest, RedirectRules | None]:
        """Return the request, and how far its redirects are followed.

        Whatever was captured is sent to the origin of the step's URL alone, as credentials are.

        Args:
            captured: What was captured so far.
            target: The check's target; what is configured for its origin or host applies to no other.

        Raises:
            CheckFailed: With reason `protocol` when a capture does not fit where it would be sent.
        """
        url = address_of(self.url, captured, target)
        content, content_type = self._content(captured)
        fields = {name: self._line(template, name, captured) for name, template in self.headers.items()}
        if content_type and "content-type" not in {name.lower() for name in fields}:
            fields["Content-Type"] = content_type
        if self.token is not None:
            fields["Authorization"] = SecretText(f"Bearer {self._token(self.token, captured)}")
        common = {name: getattr(self.settings, name) for name in _OF_THE_CHECK}
        made = HttpSettings.model_construct(
            **common, headers=fields, basic_auth=self.step.basic_auth, follow_redirects=self.step.follow_redirects
        )
        defaults = request_defaults(made)
        with contained(Reason.LOCAL, "the request cannot be written"):
            request = new_request(self.step.method, url, defaults.fields, content)
            if self.step.basic_auth is not None:
                user, password = self.step.basic_auth.username, self.step.basic_auth.password.get_secret_value()
                request = with_field(request, b"Authorization", basic_credentials(user, password).encode())
            return wire_request(request, redirected_options(defaults.options, target, url)), defaults.rules

    def _line(self, template: Template, name: str, captured: Mapping[str, str]) -> str:
        text = template.fill(captured)
        if _UNSENT.search(text):
            what = " and ".join(template.names)
            detail = f"what was captured as {what} has a control character, which the header {name} cannot have"
            raise CheckFailed(Reason.PROTOCOL, detail)
        configured = self.step.headers[name]
        return SecretText(text) if template.names or isinstance(configured, SecretText) else text

    def _token(self, template: Template, captured: Mapping[str, str]) -> str:
        token = template.fill(captured)
        if template.names and not _TOKEN.fullmatch(token):
            detail = f"what was captured as {' and '.join(template.names)} is not a bearer token"
            raise CheckFailed(Reason.PROTOCOL, detail)
        return token

    def _content(self, captured: Mapping[str, str]) -> tuple[bytes, str]:
        """Return the body and its media type; empty for one that is not known."""
        step = self.step
        if "json_body" in step.model_fields_set:
            document = _filled(step.json_body, captured)
            return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode(), "application/json"
        if step.form is not None:
            pairs = [(name, parse_template(text).fill(captured)) for name, text in step.form.items()]
            return urlencode(pairs).encode(), "application/x-www-form-urlencoded"
        return b"" if step.body is None else parse_template(step.body).fill(captured).encode(), ""


def step_request(settings: HttpStepsSettings, step: HttpStep) -> StepRequest:
    """Return the request of a step, its templates read."""
    return StepRequest(
        settings=settings,
        step=step,
        url=parse_template(step.url),
        headers={name: parse_template(text) for name, text in step.headers.items()},
        token=None if step.bearer_token is None else parse_template(step.bearer_token.get_secret_value()),
    )


def _filled(value: JsonValue, captured: Mapping[str, str]) -> JsonValue:
    if isinstance(value, str):
        return parse_template(value).fill(captured)
    if isinstance(value, list):
        return [_filled(item, captured) for item in value]
    return {key: _filled(item, captured) for key, item in value.items()} if isinstance(value, dict) else value
