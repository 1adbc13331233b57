"""Ownership of files: a cookie identifies each visitor, who has access to own files only."""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "cmsr_visitor"
"""Name of the cookie; its value is as hard to guess as a key."""

_SECRET = re.compile(r"[\w-]{43}", re.ASCII)
_FILE = re.compile(r"/gradio_api/file[=/](.*)", re.DOTALL)
_UPLOAD = re.compile(r"/gradio_api/upload/?")


class Owners:
    """The owners of files; visitors who upload the same bytes share a file.

    Parameters
    ----------
    folder : Path
        Holds the files for download.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owners: dict[Path, set[str]] = {}
        self._claiming = threading.Lock()

    def claim(self, visitor: str, file: Path) -> None:
        """Register ``file`` as the visitor's, and drop files that no longer exist."""
        with self._claiming:
            self._owners = {path: who for path, who in self._owners.items() if path.exists()}
            self._owners.setdefault(file, set()).add(visitor)

    def hand_out(self, visitor: str, file: Path) -> Path:
        """Move ``file`` to a path that nobody can guess and only the visitor may download."""
        place = self._folder / secrets.token_hex(32)
        place.mkdir()
        moved = file.rename(place / file.name)
        self.claim(visitor, moved)
        return moved

    def owns(self, visitor: str, file: Path) -> bool:
        """Return whether ``file`` was uploaded by the visitor or made for them."""
        return visitor in self._owners.get(file, ())


class PrivateFiles:
    """ASGI middleware that gives each visitor a cookie, and files to their owners only.

    Parameters
    ----------
    app : ASGI application
        The page.
    owners : Owners
        Registry of uploads.
    """

    def __init__(self, app: ASGIApp, owners: Owners) -> None:
        self._app, self._owners = app, owners

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        visitor = visitor_of(HTTPConnection(scope).cookies)
        if not visitor:
            visitor = secrets.token_urlsafe(32)
            scope["headers"] = [*scope["headers"], (b"cookie", f"{COOKIE}={visitor}".encode())]
            send = _with_cookie(visitor, send)
        if asked := _FILE.fullmatch(scope["path"]):
            if not self._owners.owns(visitor, Path(asked[1])):
                refusal = PlainTextResponse("not your file", status_code=403)
                await refusal(scope, receive, send)
                return
        elif _UPLOAD.fullmatch(scope["path"]):
            send = self._claiming(visitor, send)
        await self._app(scope, receive, send)

    def _claiming(self, visitor: str, send: Send) -> Send:
        """Register the uploaded files that an answer lists."""
        body, taken = bytearray(), False

        async def claim(message: Message) -> None:
            nonlocal taken
            if message["type"] == "http.response.start":
                taken = message["status"] == 200
            elif taken:
                body.extend(message.get("body", b""))
                if not message.get("more_body"):
                    for path in json.loads(body):
                        self._owners.claim(visitor, Path(path))
            await send(message)

        return claim


def visitor_of(cookies: Mapping[str, str]) -> str:
    """Return the secret that identifies a visitor; "" without the cookie."""
    secret = cookies.get(COOKIE, "")
    return secret if _SECRET.fullmatch(secret) else ""


def _with_cookie(visitor: str, send: Send) -> Send:
    """Add the cookie of a new visitor to the answer."""
    cookie = f"{COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Lax"

    async def send_cookie(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]
        await send(message)

    return send_cookie
