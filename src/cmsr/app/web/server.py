"""The server of the page: local, with a private temporary folder."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from pathlib import Path
from typing import Any, NoReturn

from cmsr.app.extras import needing
from cmsr.app.web.starting import starting

OFFLINE = {
    "GRADIO_ANALYTICS_ENABLED": "False",
    "GRADIO_VIBE_MODE": "",
    "HF_HUB_DISABLE_TELEMETRY": "1",
    "HF_HUB_OFFLINE": "1",
}

BUTTON, KINDS = "#b4480f", ("", "_hover", "_dark", "_hover_dark")
"""The main button's colour, on which white text has a contrast of 5.6 : 1, and its states."""


def serve(host: str, port: int, max_upload: int, **limits: Any) -> None:
    """Serve the page until interrupted.

    Parameters
    ----------
    host : str
        Address to listen on.
    port : int
        Port to listen on.
    max_upload : int
        Largest upload, in MB.
    **limits
        Options of `Config` that visitors cannot change.

    Raises
    ------
    OptionError
        If the extra ``web`` is not installed, or the port is taken.
    """
    with tempfile.TemporaryDirectory(prefix="cmsr-web-", ignore_cleanup_errors=True) as folder:
        work, files = Path(folder, "work"), Path(folder, "files")
        for part in (work, files):
            part.mkdir()
        os.environ.update(OFFLINE, GRADIO_TEMP_DIR=str(files))
        with starting(host, port):
            with needing("web"):
                import gradio  # noqa: F401  named first where it is missing
                from starlette.middleware import Middleware

                from cmsr.app.web.app import App
                from cmsr.app.web.page import STYLE, page, script
                from cmsr.app.web.private import Owners, PrivateFiles

            _fetch_nothing()
            owners = Owners(files)
            app = App(work, owners, **limits)
            blocks = page(app)
        try:
            blocks.queue(max_size=32).launch(
                server_name=host,
                server_port=port,
                max_file_size=max_upload * 2**20,
                theme=_theme(),
                css=STYLE,
                head=script(max_upload),
                app_kwargs={"middleware": [Middleware(PrivateFiles, owners=owners)]},
                footer_links=["api"],
                share=False,
                ssr_mode=False,
                quiet=True,
                prevent_thread_lock=True,
            )
            print(f"http://{host}:{port} (Ctrl + C ends it)", flush=True)
            _wait()
        finally:
            app.close()
            blocks.close(verbose=False)


def _theme() -> Any:
    """Return the page's colours and fonts: none that has to be downloaded."""
    import gradio as gr

    return gr.themes.Default(
        primary_hue="orange",
        font=["system-ui", "sans-serif"],
        font_mono=["ui-monospace", "monospace"],
    ).set(
        block_info_text_color="*neutral_600",
        block_info_text_color_dark="*neutral_300",
        **{f"button_primary_background_fill{kind}": BUTTON for kind in KINDS},
        **{f"button_primary_text_color{kind}": "#ffffff" for kind in KINDS},
    )


def _fetch_nothing() -> None:
    """Refuse files that a visitor names by a URL; gradio would download them."""
    import safehttpx

    async def refuse(url: str, *_args: Any, **_options: Any) -> NoReturn:
        raise ValueError(f"{url}: files from other machines are not downloaded")

    safehttpx.get = safehttpx.async_validate_url = refuse


def _wait() -> None:
    """Wait for Ctrl + C or a signal, even if the shell has SIGINT ignored."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    stopped = threading.Event()
    while not stopped.wait(1):  # without end, it could not be interrupted on Windows
        pass
