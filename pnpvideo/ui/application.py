"""The application that is served: gradio's page, the files of the sessions, and the gate before both."""

from collections.abc import Mapping
from typing import Any

import gradio as gr
from fastapi import FastAPI, Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from pnpvideo.ui.gate import Gate, owner_of
from pnpvideo.ui.limits import Limits
from pnpvideo.ui.page import STYLE, build, theme
from pnpvideo.ui.server import LOOPBACK, Address
from pnpvideo.ui.session import Sessions
from pnpvideo.ui.work import Studio


def application(
    sessions: Sessions,
    studio: Studio,
    start: Mapping[str, Any],
    models: tuple[str, ...],
    limits: Limits,
    address: Address,
) -> ASGIApp:
    """The page at "/", and the files of the sessions at "/files/", each for its own browser only."""
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)

    def file(token: str, request: Request) -> Response:
        return serve_file(sessions, token, request)

    app.add_api_route("/files/{token}", file, response_model=None)
    page = build(sessions, studio, start, models, limits)
    page.queue(max_size=limits.queue, api_open=False)
    gr.mount_gradio_app(
        app,
        page,
        "/",
        footer_links=[],
        run_history=False,
        show_error=False,
        max_file_size=limits.upload,
        ssr_mode=False,
        enable_monitoring=False,
        pwa=False,
        mcp_server=False,
        theme=theme(),
        css_paths=[STYLE],
    )
    hosts = frozenset(LOOPBACK) if address.host in LOOPBACK else None
    return Gate(app, sessions.allows, hosts, address.user, address.password)


def serve_file(sessions: Sessions, token: str, request: Request) -> Response:
    """Answer with the file that is published under ``token``, if the browser that asks is its owner's."""
    owner, _ = owner_of(request.headers)
    path = sessions.file(token, owner)
    if path is None:
        return PlainTextResponse("not found", 404)
    return FileResponse(path, filename=path.name, content_disposition_type="inline")
