"""The gate: who may ask, for what, and what goes with the answer."""

import asyncio
import base64
import json
from typing import Any

import pytest

pytest.importorskip("starlette", reason="gradio is not installed; `make browser` installs it")

from starlette.datastructures import Headers

from pnpvideo.ui.gate import COOKIE, MOST_BYTES, Gate, names_url, owner_of, parse

OWNER = "o" * 43
JOIN = "/gradio_api/queue/join"


async def echo(scope: Any, receive: Any, send: Any) -> None:
    """Answers with the cookie and the body that reach it."""
    body, more = b"", scope["method"] == "POST"
    while more:
        message = await receive()
        body, more = body + message["body"], message["more_body"]
    cookie = dict(scope["headers"]).get(b"cookie", b"")
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": json.dumps([cookie.decode(), body.decode()]).encode()})


def ask(gate: Gate, path: str, *, body: bytes | None = None, query: str = "", **headers: str) -> tuple[int, Any, str]:
    """Status, headers and body of the answer to one request."""
    sent: list[Any] = []
    parts = [body or b""] if len(body or b"") < 10 else [body[:10], body[10:]]  # type: ignore[index]
    messages = [
        {"type": "http.request", "body": part, "more_body": number + 1 < len(parts)}
        for number, part in enumerate(parts)
    ]

    async def receive() -> Any:
        return messages.pop(0) if messages else {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    named = {"host": "127.0.0.1:7860", **headers}
    scope = {
        "type": "http",
        "method": "GET" if body is None else "POST",
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in named.items()],
    }
    asyncio.run(gate(scope, receive, send))
    text = b"".join(message.get("body", b"") for message in sent[1:]).decode()
    return sent[0]["status"], Headers(raw=sent[0]["headers"]), text


def gate(**given: Any) -> Gate:
    return Gate(echo, lambda name, owner: name != "yours", frozenset({"127.0.0.1", "localhost"}), **given)


def test_a_browser_gets_a_secret_once_and_the_application_knows_it_from_the_start() -> None:
    status, headers, text = ask(gate(), "/")
    cookie = headers["set-cookie"]
    assert status == 200 and cookie.startswith(f"{COOKIE}=") and "HttpOnly; SameSite=Strict" in cookie
    assert json.loads(text)[0] == cookie.partition(";")[0]
    _, headers, text = ask(gate(), "/", cookie=f"{COOKIE}={OWNER}")
    assert "set-cookie" not in headers and json.loads(text)[0] == f"{COOKIE}={OWNER}"
    assert owner_of(Headers({"cookie": f"{COOKIE}=short"}))[1] is False


def test_the_page_and_its_files_may_load_nothing_from_elsewhere() -> None:
    page = ask(gate(), "/")[1]["content-security-policy"]
    file = ask(gate(), "/files/abc")[1]["content-security-policy"]
    assert page.startswith("default-src 'self';") and "http" not in page and "frame-ancestors 'none'" in page
    assert file.startswith("sandbox allow-scripts; default-src 'none';") and "connect" not in file


@pytest.mark.parametrize("host", ["evil.example", "evil.example:7860", "", "127.0.0.1.evil.example"])
def test_a_name_of_somebody_else_for_this_machine_is_refused(host: str) -> None:
    assert ask(gate(), "/", host=host)[0] == 403
    assert ask(Gate(echo, lambda name, owner: True), "/", host=host)[0] == 200


def test_another_site_is_refused() -> None:
    assert ask(gate(), JOIN, body=b"{}", origin="http://evil.example")[0] == 403
    assert ask(gate(), JOIN, body=b"{}", origin="http://127.0.0.1:7860")[0] == 200


@pytest.mark.parametrize(
    ("said", "status"),
    [("", 401), ("Basic", 401), ("Basic !", 401), ("a:b", 401), ("studio:wrong", 401), ("studio:secret", 200)],
)
def test_user_and_password_are_needed_for_everything(said: str, status: int) -> None:
    basic = f"Basic {base64.b64encode(said.encode()).decode()}" if ":" in said else said
    closed = gate(user="studio", password="secret")
    for path in ("/", "/files/abc", JOIN, "/config"):
        answer = ask(closed, path, body=b"{}", authorization=basic)
        assert answer[0] == status
    assert status == 200 or answer[1]["www-authenticate"].startswith("Basic")


@pytest.mark.parametrize("path", ["/gradio_api/file=/etc/passwd", "/gradio_api/info", "/files/../x", "/docs", "/runs"])
def test_what_the_page_does_not_need_is_not_there(path: str) -> None:
    assert ask(gate(), path)[0] == 404


def test_the_session_of_somebody_else_is_refused_wherever_it_is_named() -> None:
    assert ask(gate(), JOIN, body=b'{"session_hash": "yours"}')[0] == 403
    assert ask(gate(), "/gradio_api/queue/data", query="session_hash=yours")[0] == 403
    assert ask(gate(), "/gradio_api/heartbeat/yours")[0] == 403
    assert ask(gate(), "/gradio_api/heartbeat/mine")[0] == 200


def test_a_message_arrives_as_it_was_sent() -> None:
    body = json.dumps({"session_hash": "mine", "data": ["a prompt: http://a.b", 3]}).encode()
    status, _, text = ask(gate(), JOIN, body=body)
    assert status == 200 and json.loads(text)[1].encode() == body


@pytest.mark.parametrize(
    "body",
    [
        b"no json",
        b"[]",
        b'{"data": [{"path": "http://a.b/c.png"}]}',
        b'{"data": [[{"a": {"path": " file:///etc/passwd"}}]]}',
        b'"' + b"a" * (MOST_BYTES + 20) + b'"',
    ],
)
def test_messages_that_name_urls_or_are_none_are_refused(body: bytes) -> None:
    assert ask(gate(), JOIN, body=body)[0] == 400


def test_urls_are_told_from_paths() -> None:
    assert names_url({"path": "https://a.b"}) and not names_url({"path": "/tmp/a:b.png", "url": "http://a.b"})
    assert parse(b"{}") == {} and parse(b"[" * 100_000) is None
