"""The settings of requests in order: the steps, what they capture, and what must hold between them."""

from __future__ import annotations

import re
from collections.abc import Mapping  # noqa: TC003 - pydantic reads the annotation when the class is made
from typing import TYPE_CHECKING, Annotated, Any, Self

from pydantic import AfterValidator, Field, JsonValue, WithJsonSchema, model_validator

from exporter.dialogue.steps import StepName  # noqa: TC001 - pydantic evaluates the annotations
from exporter.dialogue.template import parse_template
from exporter.http.message import DEFAULT_BODY_LIMIT_BYTES
from exporter.http.settings import MOST_REDIRECTS, BearerToken, HeaderName, Method, check_request_head
from exporter.http_steps.addressing import check_address
from exporter.judging.json_path import compile_json_path
from exporter.net.proxy.settings import ProxySettings
from exporter.settings import (
    BasicAuth,
    CaptureReferences,
    NetworkSettings,
    SecretiveLine,
    SettingsModel,
    SingleLine,
    Size,
    TlsSettings,
)
from exporter.values import MAX_VALUES, LinePattern, ResponseValuesSettings

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

MAX_STEPS = 20
MAX_CAPTURES = 20
"""Most steps of a check, and most captures of a step."""

_EXPECTATION = {"type": "object"}
_CAPTURE_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")


def _capture_name(name: str) -> str:
    if not _CAPTURE_NAME.fullmatch(name):
        raise ValueError("is not a name of a capture; it has at most 64 letters, digits and _, and no digit first")
    return name


def _single_path(text: str) -> str:
    if compile_json_path(text).branches:
        raise ValueError("may find several values; a capture needs a path to one, such as $.data.token")
    return text


def _template(text: str) -> str:
    parse_template(text)
    return text


CaptureName = Annotated[str, AfterValidator(_capture_name)]
"""The name of a capture, as `${name}` refers to it."""

_Line = Annotated[SecretiveLine, AfterValidator(_template), CaptureReferences(), WithJsonSchema({"type": "string"})]
_Text = Annotated[str, AfterValidator(_template), CaptureReferences(), WithJsonSchema({"type": "string"})]


class Capture(SettingsModel):
    """Where to find a text in a response, for later steps to use."""

    json_path: Annotated[str, AfterValidator(_single_path)] | None = Field(
        default=None, alias="json", description="JSONPath to one text, number or flag in the body"
    )
    header: SingleLine | None = Field(default=None, description="Name of a header field; its first value counts")
    body: LinePattern | None = Field(
        default=None, description="RE2 regular expression that matches in the body; its first group, or the match"
    )
    cookie: SingleLine | None = Field(default=None, description="Name of a cookie kept for the URL of the step")
    matches: LinePattern | None = Field(
        default=None, description="RE2 regular expression for the header or cookie; its first group, or the match"
    )

    @model_validator(mode="after")
    def _check_that_there_is_one_source(self) -> Self:
        sources = {"json": self.json_path, "header": self.header, "body": self.body, "cookie": self.cookie}
        given = [key for key, value in sources.items() if value is not None]
        if len(given) != 1:
            raise ValueError(f"needs one of {', '.join(sources)}" + (f", not {' and '.join(given)}" if given else ""))
        if self.matches is not None and given[0] in ("json", "body"):
            raise ValueError("has matches, which is for header and cookie")
        return self


class HttpStep(ResponseValuesSettings):
    """One request, what is expected of its response, and what is captured from it."""

    name: StepName = Field(description="Name of the step in metrics, labels of expectations, logs and details")
    method: Method = Field(default="GET", description="Request method")
    url: Annotated[SingleLine, CaptureReferences(), WithJsonSchema({"type": "string"})] = Field(
        default="", description="URL, or a reference that is resolved against the target; the target itself by default"
    )
    headers: Mapping[HeaderName, _Line] = Field(default_factory=dict, repr=False, description="Request headers")
    body: _Text | None = Field(default=None, repr=False, description="Request body")
    json_body: Annotated[JsonValue, CaptureReferences()] = Field(
        default=None, alias="json", repr=False, description="Request body, sent as JSON"
    )
    form: Mapping[str, _Text] | None = Field(
        default=None, repr=False, description="Request body, sent as the fields of a form"
    )
    basic_auth: BasicAuth | None = Field(default=None, description="User name and password")
    bearer_token: Annotated[BearerToken, CaptureReferences()] | None = Field(
        default=None, description="Token sent as Authorization: Bearer"
    )
    follow_redirects: bool = Field(default=True, description="Judge the response that redirects lead to")
    expect: Annotated[tuple[Any, ...], WithJsonSchema({"type": "array", "items": _EXPECTATION})] = Field(
        default=(), description="Expectations of the response; an error in one ends the steps"
    )
    capture: Mapping[CaptureName, Capture] = Field(
        default_factory=dict, max_length=MAX_CAPTURES, description="Texts of the response that later steps use"
    )

    @model_validator(mode="after")
    def _check_request(self) -> Self:
        check_request_head(self.headers, {"basic_auth": self.basic_auth, "bearer_token": self.bearer_token})
        bodies = [key for key in ("body", "form") if getattr(self, key) is not None]
        bodies += ["json"] if "json_body" in self.model_fields_set else []
        if len(bodies) > 1:
            raise ValueError(f"has {' and '.join(bodies)}; a request has one body")
        if any(name.lower() == "host" for name in self.headers):
            raise ValueError("has a Host header; write the host in the url, and connect_to beside steps")
        check_address(self.url)
        for text in self.texts:
            parse_template(text)
        return self

    @property
    def texts(self) -> Iterator[str]:
        """The texts that may refer to captures."""
        yield self.url
        yield from self.headers.values()
        yield from (self.form or {}).values()
        yield from () if self.body is None else (self.body,)
        yield from texts_in(self.json_body)
        yield from () if self.bearer_token is None else (self.bearer_token.get_secret_value(),)


def texts_in(value: JsonValue) -> Iterator[str]:
    """Yield the texts of a JSON value, keys left out."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for item in value.values() if isinstance(value, dict) else value:
            yield from texts_in(item)


class HttpStepsSettings(NetworkSettings, TlsSettings, ProxySettings):
    """Settings of the type `http-steps`."""

    steps: tuple[HttpStep, ...] = Field(
        min_length=1, max_length=MAX_STEPS, description="The requests, in order; the first failure ends them"
    )
    finally_steps: tuple[HttpStep, ...] = Field(
        default=(),
        alias="finally",
        max_length=MAX_STEPS,
        description="Requests made after the steps, however these ended; a part of the timeout is kept for them",
    )
    http2: bool = Field(default=True, description="Use HTTP/2 with servers that offer it over TLS; else HTTP/1.1")
    max_redirects: int = Field(
        default=10, ge=0, le=MOST_REDIRECTS, description="Most redirects followed by a step; one more is a failure"
    )
    allow_downgrade: bool = Field(default=False, description="Follow redirects from https to http")
    body_size_limit: Annotated[Size, Field(gt=0, le=1 << 24)] = Field(
        default=DEFAULT_BODY_LIMIT_BYTES, description="A larger body, as sent or after decoding, is a failure"
    )

    @model_validator(mode="after")
    def _check_what_steps_refer_to(self) -> Self:
        if doubled := _doubled(step.name for step in self.all_steps):
            raise ValueError(f"has two steps named {doubled}")
        values = [name for step in self.all_steps for name in step.values]
        if doubled := _doubled(values):
            raise ValueError(f"has the value {doubled} in two steps")
        if len(values) > MAX_VALUES:
            raise ValueError(f"has {len(values)} values in its steps; at most {MAX_VALUES} are allowed")
        known: set[str] = set()
        for step in self.all_steps:
            for name in (name for text in step.texts for name in parse_template(text).names if name not in known):
                meant = f"; write ${{env:{name}}} for the environment variable" if name.isupper() else ""
                raise ValueError(f"has ${{{name}}} in step {step.name}, which no earlier step captures{meant}")
            known |= step.capture.keys()
        return self

    @property
    def all_steps(self) -> tuple[HttpStep, ...]:
        """The steps and those of `finally`."""
        return (*self.steps, *self.finally_steps)


def _doubled(names: Iterable[str]) -> str:
    """Return the first name that occurs twice; empty if none does."""
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return ""
