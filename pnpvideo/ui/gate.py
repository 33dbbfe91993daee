"""What stands before the page on the way in: who may ask, for what, and what the browser may do with the answer.

Gradio serves more than this page needs: files by path, a proxy, an interface for programs. All of that is closed.
"""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "pnpvideo"
OPEN = re.compile(
    r"/|/(config|theme\.css|favicon\.ico|manifest\.json)/?|/(assets|static|svelte|files)/.+"
    r"|/gradio_api/(queue/join|run/predict|queue/data|upload|upload_progress|startup-events|cancel|reset|heartbeat/[\w-]+)/?"
)
"""The paths that the page needs; all others do not exist."""
EVENTS = ("/gradio_api/queue/join", "/gradio_api/run/predict", "/gradio_api/cancel", "/gradio_api/reset")
"""The paths to which the page sends what its components hold, and which of its work is to end."""
PAGE_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self' data:; object-src 'none'; base-uri 'self'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""The page loads nothing from anywhere else. Gradio's own scripts need the rest."""
FILE_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "img-src 'self' data: blob:; media-src 'self' data: blob:; frame-ancestors 'self'"
)
"""A file of a session knows nothing of the page, and asks nobody for anything."""
MOST_BYTES = 1 << 20
"""Of what the page says at a press of a button."""


@dataclass(frozen=True)
class Gate:
    """Wraps the application.

    hosts: names under which the page may be asked for, against sites that give their own name our address; None: any.
    user, password: what a browser must say; None: nothing. allows: whether a browser's secret may take part in a
    session.
    """

    app: ASGIApp
    allows: Callable[[str, str], bool]
    hosts: frozenset[str] | None = None
    user: str | None = None
    password: str | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        if scope["type"] != "http":
            return
        headers = Headers(scope=scope)
        if (refusal := self._refusal(scope["path"], headers)) is not None:
            await refusal(scope, receive, send)
            return
        owner, known = owner_of(headers)
        if not known:
            scope["headers"] = [*scope["headers"], (b"cookie", f"{COOKIE}={owner}".encode())]
        sessions = _names(scope)
        if scope["path"].startswith(EVENTS):
            body = await _read(receive)
            said = None if body is None else parse(body)
            if body is None or said is None or names_url(said):
                refusal = PlainTextResponse("refused: only files that were uploaded here are read", 400)
                await refusal(scope, receive, send)
                return
            sessions.append(str(said.get("session_hash")))
            receive = _Replay(body, receive)
        if not all(self.allows(name, owner) for name in sessions):
            await PlainTextResponse("refused: the page of somebody else", 403)(scope, receive, send)
            return
        policy = FILE_POLICY if scope["path"].startswith("/files/") else PAGE_POLICY

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                _add_headers(message, policy, None if known else owner)
            await send(message)

        await self.app(scope, receive, answer)

    def _refusal(self, path: str, headers: Headers) -> PlainTextResponse | None:
        host = headers.get("host", "")
        if self.hosts is not None and (urlsplit(f"//{host}").hostname or "") not in self.hosts:
            return PlainTextResponse("refused: the page is open to this machine only", 403)
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("refused: asked by another site", 403)
        if self.password is not None and not self._knows_password(headers):
            asking = {"WWW-Authenticate": 'Basic realm="pnpvideo", charset="UTF-8"'}
            return PlainTextResponse("refused: user and password are needed", 401, asking)
        return None if OPEN.fullmatch(path) and "/../" not in f"{path}/" else PlainTextResponse("not found", 404)

    def _knows_password(self, headers: Headers) -> bool:
        scheme, _, encoded = headers.get("authorization", "").partition(" ")
        try:
            user, _, password = base64.b64decode(encoded, validate=True).partition(b":")
        except (binascii.Error, ValueError):
            return False
        same = secrets.compare_digest(password, (self.password or "").encode())
        return secrets.compare_digest(user, (self.user or "").encode()) and same and scheme.lower() == "basic"


def owner_of(headers: Headers) -> tuple[str, bool]:
    """The secret of the browser that asks, and whether it had one already."""
    try:
        cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
    except CookieError:
        cookie = None
    if cookie is not None and re.fullmatch(r"[\w-]{43}", cookie.value):
        return cookie.value, True
    return secrets.token_urlsafe(32), False


def parse(body: bytes) -> dict[str, Any] | None:
    """A message of the page; None if it is none."""
    try:
        said = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return said if isinstance(said, dict) else None


def names_url(value: Any) -> bool:
    """Whether a message of the page names a file by URL, which gradio would fetch."""
    if isinstance(value, list):
        return any(map(names_url, value))
    if not isinstance(value, dict):
        return False
    path = value.get("path")
    if isinstance(path, str) and re.match(r"\s*[A-Za-z][A-Za-z0-9+.-]+:", path):
        return True
    return any(map(names_url, value.values()))


def _names(scope: Scope) -> list[str]:
    """The sessions that a request's address names."""
    _, heartbeat, name = scope["path"].rstrip("/").partition("/gradio_api/heartbeat/")
    query = parse_qs(scope["query_string"].decode("latin-1"))
    return [*([name] if heartbeat else []), *query.get("session_hash", [])]


async def _read(receive: Receive) -> bytes | None:
    """The whole body of a request; None if it is too long, or the browser went away."""
    body, more = b"", True
    while more:
        message = await receive()
        if message["type"] != "http.request" or len(body) > MOST_BYTES:
            return None
        body, more = body + message.get("body", b""), message.get("more_body", False)
    return body


class _Replay:
    """Gives a body that was read already once more, then whatever comes after it."""

    def __init__(self, body: bytes, receive: Receive) -> None:
        self._body: bytes | None = body
        self._receive = receive

    async def __call__(self) -> Message:
        if self._body is None:
            return await self._receive()
        body, self._body = self._body, None
        return {"type": "http.request", "body": body, "more_body": False}


def _add_headers(message: MutableMapping[str, Any], policy: str, owner: str | None) -> None:
    headers = MutableHeaders(raw=message.setdefault("headers", []))
    headers["Content-Security-Policy"] = policy
    headers["X-Content-Type-Options"] = "nosniff"
    headers["Referrer-Policy"] = "no-referrer"
    headers["Cross-Origin-Resource-Policy"] = "same-origin"
    if owner is not None:
        headers.append("Set-Cookie", f"{COOKIE}={owner}; Path=/; HttpOnly; SameSite=Strict")
