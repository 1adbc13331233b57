"""Put the help of every command into COMMANDS.md while the site is built."""

from typing import Any

from cmsr.app.arguments import parser_of
from cmsr.app.cli import COMMANDS

MARK = "<!-- the help of every command -->"


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Return a page's text with the commands in the place of the mark; called by mkdocs."""
    return markdown.replace(MARK, commands()) if MARK in markdown else markdown


def commands() -> str:
    """Return a section for each command: its help, as the terminal shows it."""
    return "\n".join(
        f"## cmsr {name}\n\n```text\n{parser_of(command, f'cmsr {name}').format_help()}```\n"
        for name, command in COMMANDS.items()
    )
