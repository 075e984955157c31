"""A small application with a login: a form with a CSRF token, a session cookie, a bearer token and a logout."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import Route

from tests.servers.web import run_web_server

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request

CSRF, SESSION, TOKEN = "csrf-4f2a91c07d", "session-93b1e55a2c", "bearer-77d0c1fe08"


@dataclass(kw_only=True)
class LoginApp:
    """A running application; what tests change of it takes effect with the next request.

    Attributes:
        url: Its URL, without the trailing slash.
        seen: Method, path and query of each request, in order.
        token: The token that the home page hands out.
        location: The path that the home page names.
        order_status: The status of every order.
        home_delay_seconds: How long the home page takes.
        logged_out: Whether the session was ended.
    """

    url: str = ""
    seen: list[str] = field(default_factory=list)
    token: str = TOKEN
    location: str = "/orders/12?full=1"
    order_status: int = 200
    home_delay_seconds: float = 0.0
    logged_out: bool = False

    async def login(self, request: Request) -> Response:
        """The form, or what becomes of it."""
        self._see(request)
        if request.method == "GET":
            page = PlainTextResponse(f'<form><input name="csrf" value="{CSRF}"></form>', media_type="text/html")
            page.set_cookie("visit", CSRF)
            return page
        expected = f"csrf={CSRF}&user=probe&password=s3cret%26+"
        if (await request.body()).decode() != expected or request.cookies.get("visit") != CSRF:
            return PlainTextResponse("wrong", 403)
        answer = RedirectResponse("/home", 303)
        answer.set_cookie("session", SESSION, httponly=True)
        return answer

    async def home(self, request: Request) -> Response:
        """What a session gets: a token."""
        self._see(request)
        await asyncio.sleep(self.home_delay_seconds)
        if request.headers.get("cookie", "").count(SESSION) != 1:
            return PlainTextResponse("log in first", 401)
        return JSONResponse(
            {"token": self.token, "open": 3}, headers={"x-next": self.location, "x-trace": "trace=abcdef12;"}
        )

    async def order(self, request: Request) -> Response:
        """What a token gets: an order."""
        self._see(request)
        if request.headers.get("authorization") != f"Bearer {self.token}":
            return PlainTextResponse("no token", 401)
        body = {"id": request.path_params["number"], "amount": 99.5, "you": self.token}
        return JSONResponse(body, self.order_status)

    async def echo(self, request: Request) -> Response:
        """What was sent."""
        self._see(request)
        return PlainTextResponse((await request.body()).decode(), headers={"x-got": request.headers.get("x-sent", "")})

    async def logout(self, request: Request) -> Response:
        """The end of the session."""
        self._see(request)
        self.logged_out = SESSION in request.headers.get("cookie", "")
        return PlainTextResponse("bye")

    def _see(self, request: Request) -> None:
        query = f"?{request.url.query}" if request.url.query else ""
        self.seen.append(f"{request.method} {request.scope['raw_path'].decode()}{query}")


@contextmanager
def run_login_app() -> Iterator[LoginApp]:
    """Run the application for the duration of the block."""
    app = LoginApp()
    routes = [
        Route("/login", app.login, methods=["GET", "POST"]),
        Route("/home", app.home),
        Route("/orders/{number:path}", app.order),
        Route("/echo", app.echo, methods=["GET", "POST"]),
        Route("/logout", app.logout, methods=["GET", "POST"]),
    ]
    with run_web_server(Starlette(routes=routes)) as url:
        app.url = url
        yield app
