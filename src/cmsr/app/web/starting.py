"""An answer at once, while the page is still being loaded."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from cmsr.errors import OptionError

ANSWER = b"""<!doctype html><html lang="en"><meta charset="utf-8">
<meta http-equiv="refresh" content="1"><title>cmsr is starting</title>
<style>body { font: 18px system-ui; margin: 20vh auto; width: 20em }
:root { color-scheme: light dark }</style>
<h1>cmsr is starting</h1><p>The page opens by itself in a few seconds.</p></html>"""


class _Starting(BaseHTTPRequestHandler):
    """Says that the page is not there yet."""

    def do_GET(self) -> None:
        """Answer any request for a page."""
        self.send_response(503)
        for name, value in (("Content-Type", "text/html"), ("Retry-After", "2"),
                            ("Content-Length", str(len(ANSWER)))):  # fmt: skip
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(ANSWER)

    def log_message(self, *_: object) -> None:
        """Say nothing on the terminal."""


@contextmanager
def starting(host: str, port: int) -> Iterator[None]:
    """Answer at an address until the block ends.

    Raises
    ------
    OptionError
        If the address cannot be listened on.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    kind = type("Server", (ThreadingHTTPServer,), {"address_family": family})
    try:
        server = kind((host, port), _Starting)
    except (OSError, OverflowError) as error:
        raise OptionError(f"{host}:{port}: cannot listen there ({error})") from error
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()
