"""Whose a file is: every visitor is known by a cookie, and fetches and names only own files."""

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
"""Name of the cookie; what it holds is as hard to guess as a key."""

_SECRET = re.compile(r"[\w-]{43}", re.ASCII)
_FILE = re.compile(r"/gradio_api/file[=/](.*)", re.DOTALL)
_UPLOAD = re.compile(r"/gradio_api/upload/?")


class Owners:
    """Which files belong to which visitors; two who upload the same bytes share a file.

    Parameters
    ----------
    folder : Path
        Where files that are handed out lie.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._owners: dict[Path, set[str]] = {}
        self._claiming = threading.Lock()

    def claim(self, visitor: str, file: Path) -> None:
        """Note that ``file`` is the visitor's, and forget files that were removed."""
        with self._claiming:
            self._owners = {path: who for path, who in self._owners.items() if path.exists()}
            self._owners.setdefault(file, set()).add(visitor)

    def hand_out(self, visitor: str, file: Path) -> Path:
        """Move ``file`` to a place that nobody can guess, where the visitor alone may fetch it."""
        place = self._folder / secrets.token_hex(32)
        place.mkdir()
        moved = file.rename(place / file.name)
        self.claim(visitor, moved)
        return moved

    def owns(self, visitor: str, file: Path) -> bool:
        """Tell whether the visitor uploaded or was handed out ``file``."""
        return visitor in self._owners.get(file, ())


class PrivateFiles:
    """ASGI middleware that gives each visitor a cookie, and files to their owners alone.

    Parameters
    ----------
    app : ASGI application
        The page.
    owners : Owners
        Learns who uploads what.
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
            send = _introducing(visitor, send)
        if asked := _FILE.fullmatch(scope["path"]):
            if not self._owners.owns(visitor, Path(asked[1])):
                refusal = PlainTextResponse("not a file of yours", status_code=403)
                await refusal(scope, receive, send)
                return
        elif _UPLOAD.fullmatch(scope["path"]):
            send = self._claiming(visitor, send)
        await self._app(scope, receive, send)

    def _claiming(self, visitor: str, send: Send) -> Send:
        """Read off an answer which files were uploaded."""
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
    """Return the secret that whoever sends ``cookies`` is known by, or nothing without one."""
    secret = cookies.get(COOKIE, "")
    return secret if _SECRET.fullmatch(secret) else ""


def _introducing(visitor: str, send: Send) -> Send:
    """Give a new visitor the cookie with the answer."""
    cookie = f"{COOKIE}={visitor}; Path=/; HttpOnly; SameSite=Lax"

    async def introduce(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], (b"set-cookie", cookie.encode())]
        await send(message)

    return introduce
