"""What every page must do in a real browser: say nothing in the console, ask nothing of others."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

HERE = ("127.0.0.1", "localhost", None, "")


@contextmanager
def clean_page(browser: Any, **options: Any) -> Iterator[Any]:
    """A page in a session of its own; afterwards no error may have been said, no one else asked."""
    context = browser.new_context(**options)
    page = context.new_page()
    troubles: list[str] = []
    page.on("console", lambda m: troubles.append(m.text) if m.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.extend(_foreign(request.url)))
    try:
        yield page
        assert not troubles
    finally:
        context.close()


def _foreign(url: str) -> list[str]:
    return [] if urlsplit(url).hostname in HERE else [f"asked {url}"]
